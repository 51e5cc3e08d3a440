// Puts symbol tables, DWARF and values together, per module and once per code address.
//
// A goroutine program has a few hundred return addresses and a hundred thousand stacks: what an address means is found once
// and kept; only arguments are read per frame. Names from files are made printable here, the one place where they enter the
// snapshot.
#include "symbols/symbolizer.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/printable.h"
#include "symbols/debug_files.h"
#include "symbols/debug_info.h"
#include "symbols/imports.h"
#include "symbols/location.h"
#include "symbols/names.h"
#include "symbols/symbol_table.h"
#include "symbols/value.h"
#include "unwind/module_index.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxArguments = 4096;  // characters of one frame's argument list

struct LoadedModule {
  Image* image = nullptr;
  Image* debug = nullptr;  // separate debug file
  std::unique_ptr<DebugInfo> info;
  std::unique_ptr<SymbolTable> symbols;
  std::unique_ptr<SymbolTable> data;                                // once asked for
  std::optional<std::unordered_map<Address, std::string>> imports;  // once asked for
};

// Code all the same where no symbol says so, as in a stripped file.
bool in_executable_segment(const Image& image, Address address) {
  return std::ranges::any_of(image.segments(), [&](const ElfSegment& segment) {
    return segment.type == PT_LOAD && (segment.flags & PF_X) != 0 && address >= segment.address &&
           address - segment.address < segment.memory_size;
  });
}

// All that an address means; `parameters` has as many entries as `frames`.
struct Meaning {
  std::vector<Frame> frames;
  std::vector<Dwarf_Die> functions;  // empty without DWARF
  std::vector<std::vector<Parameter>> parameters;
  bool have_parameters = false;
  std::optional<CallSite> call_site;  // of the call that returns here
  bool have_call_site = false;
  Address load_bias = 0;
  Dwarf_Addr address = 0;
};

}  // namespace

struct Symbolizer::State {
  Memory& memory;
  const std::vector<Module>& modules;
  ImageCache& images;
  ModuleIndex index;
  std::unordered_map<std::size_t, LoadedModule> loaded;
  std::unordered_map<Address, Meaning> at_exact;   // by pc of an instruction
  std::unordered_map<Address, Meaning> at_return;  // by return address

  void refresh() {
    if (!index.stale(modules)) return;
    index.rebuild(modules);
    at_exact.clear();
    at_return.clear();
    loaded.clear();
  }

  LoadedModule& load(std::size_t position) {
    auto [found, fresh] = loaded.try_emplace(position);
    LoadedModule& result = found->second;
    const Module& module = modules[position];
    if (!fresh || module.file.empty()) return result;
    result.image = images.get(module.file);
    if (result.image == nullptr) return result;
    bool own_dwarf = has_section(*result.image, ".debug_info") || has_section(*result.image, ".zdebug_info");
    if (!own_dwarf) result.debug = find_debug_file(module, *result.image, images);
    if (own_dwarf) result.info = DebugInfo::open(*result.image);
    else if (result.debug != nullptr) result.info = DebugInfo::open(*result.debug);
    result.symbols = std::make_unique<SymbolTable>(result.image, result.debug);
    return result;
  }

  Meaning& meaning(Address pc, bool is_exact) {
    refresh();
    auto& known = is_exact ? at_exact : at_return;
    auto found = known.find(pc);
    if (found == known.end()) found = known.emplace(pc, find(pc, is_exact)).first;
    return found->second;
  }

  Meaning find(Address pc, bool is_exact) {
    Meaning meaning;
    Frame nothing;
    nothing.pc = pc;
    nothing.exact_pc = is_exact;
    // A call may be the last instruction of its function: what it belongs to is asked for one byte earlier.
    Address inside = is_exact || pc == 0 ? pc : pc - 1;
    std::size_t position = index.find(inside);
    if (position == ModuleIndex::kNone) {
      meaning.frames.push_back(std::move(nothing));
      return meaning;
    }
    const Module& module = modules[position];
    nothing.module = printable(module.path);
    LoadedModule& files = load(position);
    meaning.load_bias = module.load_bias;
    meaning.address = inside - module.load_bias;
    const Symbol* symbol = files.symbols != nullptr ? files.symbols->find(meaning.address) : nullptr;
    std::vector<Level> levels;
    if (files.info != nullptr) levels = files.info->levels(meaning.address);
    if (levels.empty()) {
      Frame frame = std::move(nothing);
      name_by_symbol(frame, symbol, pc - module.load_bias);
      if (files.info != nullptr) files.info->line(meaning.address, frame.file, frame.line);
      frame.file = printable(frame.file);
      meaning.frames.push_back(std::move(frame));
      return meaning;
    }
    for (Level& level : levels) {
      Frame frame = nothing;
      name_by_symbol(frame, symbol, pc - module.load_bias);  // for the offset, and the names that DWARF lacks
      if (!level.linkage_name.empty()) {
        frame.symbol = printable(level.linkage_name);
      } else if (level.inlined) {
        frame.symbol.clear();
      }
      // A lambda in main() has no linkage name in DWARF, but its code has a symbol, which also tells it from main's other
      // lambdas.
      bool symbol_knows_more =
          !level.inlined && level.name.find("{lambda}") != std::string::npos && frame.symbol.starts_with("_Z");
      if (!level.name.empty() && !symbol_knows_more) frame.function = printable(level.name);
      else if (level.inlined) frame.function.clear();
      frame.file = printable(level.file);
      frame.line = level.line;
      frame.inlined = level.inlined;
      meaning.frames.push_back(std::move(frame));
      meaning.functions.push_back(level.function);
    }
    return meaning;
  }

  static void name_by_symbol(Frame& frame, const Symbol* symbol, Address pc) {
    if (symbol == nullptr) return;
    frame.symbol = printable(symbol->name);
    frame.function = printable(without_signature(demangle(symbol->name)));
    frame.offset = pc - symbol->start;
  }

  // The linkage name by which the module around `caller` imports this function; "" when it does not.
  std::string imported_name(Address function, Address caller) {
    refresh();
    const std::size_t position = index.find(caller);
    if (position == ModuleIndex::kNone) return "";
    LoadedModule& files = load(position);
    if (files.image == nullptr) return "";
    if (!files.imports) files.imports = imported_functions(*files.image, modules[position].load_bias, memory);
    const auto found = files.imports->find(function);
    return found == files.imports->end() ? "" : found->second;
  }

  std::optional<CallSite> call_site(const UnwoundFrame& caller) {
    Meaning& there = meaning(caller.pc, false);
    if (there.functions.empty()) return std::nullopt;
    if (!there.have_call_site) {
      there.have_call_site = true;
      CallSite site{{}, there.functions.back(), there.load_bias, there.address};
      if (find_call_site(site.function, caller.pc - there.load_bias, site.entry)) there.call_site = site;
    }
    return there.call_site;
  }

  void fill_arguments(Meaning& meaning, const UnwoundFrame& unwound, std::span<const UnwoundFrame> callers,
                      std::vector<Frame>& frames) {
    if (meaning.functions.empty()) return;
    if (!meaning.have_parameters) {
      for (Dwarf_Die& function : meaning.functions) meaning.parameters.push_back(parameters_of(function));
      meaning.have_parameters = true;
    }
    FindCallSite find = [this](const UnwoundFrame& caller) { return call_site(caller); };
    EvaluationContext context{memory,  unwound, meaning.load_bias, meaning.address, &meaning.functions.back(),
                              callers, &find};
    for (std::size_t i = 0; i < frames.size(); ++i) {
      std::string& text = frames[i].args;
      for (Parameter& parameter : meaning.parameters[i]) {
        if (text.size() > kMaxArguments) break;
        if (!text.empty()) text += ", ";
        auto location = locate(parameter.entry, context);
        std::string value = location ? format_value(*location, parameter.type, context) : "<optimized out>";
        text += parameter.name.empty() ? value : fmt::format("{}={}", parameter.name, value);
      }
      text = printable(text);
    }
  }
};

Symbolizer::Symbolizer(Memory& memory, const std::vector<Module>& modules, ImageCache& images)
    : state_(new State{memory, modules, images, {}, {}, {}, {}}) {}

Symbolizer::~Symbolizer() = default;

std::vector<Frame> Symbolizer::symbolize(Address pc, bool exact) { return state_->meaning(pc, exact).frames; }

std::vector<Frame> Symbolizer::symbolize(const UnwoundFrame& frame, std::span<const UnwoundFrame> callers) {
  Meaning& meaning = state_->meaning(frame.pc, frame.exact_pc);
  std::vector<Frame> frames = meaning.frames;
  for (Frame& level : frames) {
    level.sp = frame.sp;
    level.cfa = frame.cfa;
    level.size = frame.cfa > frame.sp ? frame.cfa - frame.sp : 0;
  }
  state_->fill_arguments(meaning, frame, callers, frames);
  return frames;
}

std::optional<SymbolAt> Symbolizer::symbol_at(Address address) {
  state_->refresh();
  const std::size_t position = state_->index.find(address);
  if (position == ModuleIndex::kNone) return std::nullopt;
  const Module& module = state_->modules[position];
  LoadedModule& files = state_->load(position);
  SymbolAt found;
  found.module = printable(module.path);
  if (files.image == nullptr) return found;
  const Address in_file = address - module.load_bias;
  found.section = printable(section_at(*files.image, in_file));
  const Symbol* symbol = files.symbols->find(in_file);
  found.code = symbol != nullptr;
  if (symbol == nullptr) {
    if (files.data == nullptr) files.data = std::make_unique<SymbolTable>(files.image, files.debug, SymbolKind::data);
    symbol = files.data->find(in_file);
  }
  if (symbol == nullptr) {
    found.code = in_executable_segment(*files.image, in_file);
    return found;
  }
  found.symbol = printable(symbol->name);
  found.name = printable(found.code ? without_signature(demangle(symbol->name)) : demangle(symbol->name));
  found.start = symbol->start + module.load_bias;
  found.size = symbol->size;
  return found;
}

std::vector<SymbolAt> Symbolizer::functions(const std::string& text, const std::function<bool(const std::string&)>& matches,
                                            std::size_t limit) {
  state_->refresh();
  const std::string plain = plain_name(text);
  // Any linkage name contains the last part of the readable one: most symbols need not be demangled.
  const std::string last = plain.substr(plain.rfind(':') == std::string::npos ? 0 : plain.rfind(':') + 1);
  const std::string part = last.substr(0, last.find_first_of("<~ ("));
  const auto named = [&](const std::string& name) {
    if (name == text) return true;
    // "add" is also what stands in a namespace or class, as in a debugger's `break add`.
    const std::string full = plain_name(name);
    return full == plain || full.ends_with("::" + plain);
  };
  const auto collect = [&](bool exact) {
    std::vector<SymbolAt> found;
    for (std::size_t i = 0; i < state_->modules.size(); ++i) {
      const Module& module = state_->modules[i];
      const LoadedModule& files = state_->load(i);
      if (files.symbols == nullptr) continue;
      for (const Symbol& symbol : files.symbols->all()) {
        const std::string_view linkage = symbol.name;
        const bool same = exact && linkage == text;
        if (!same && exact && !part.starts_with("operator") && linkage.find(part) == std::string_view::npos) continue;
        if (!same && (linkage.ends_with(".cold") || linkage.find(".cold.") != std::string_view::npos)) continue;
        const std::string name = without_signature(demangle(linkage));
        if (!same && !(exact ? named(name) : matches(name))) continue;
        found.push_back({printable(module.path), printable(symbol.name), printable(name), symbol.start + module.load_bias,
                         symbol.size, "", true});
        if (found.size() >= limit) return found;
      }
    }
    return found;
  };
  if (auto exact = collect(true); !exact.empty()) return exact;
  // Another name of a function that the table keeps under one only: "fopen" of "_IO_fopen".
  if (const auto address = address_of(text)) {
    if (auto alias = symbol_at(*address); alias && alias->code && alias->start == *address) return {std::move(*alias)};
  }
  return collect(false);
}

std::vector<std::string> Symbolizer::function_names(std::string_view prefix, std::size_t limit) {
  state_->refresh();
  // Any linkage name contains the last part of the readable one: most symbols need not be demangled.
  std::string_view part = prefix.substr(prefix.rfind(':') == std::string_view::npos ? 0 : prefix.rfind(':') + 1);
  part = part.substr(0, part.find_first_of("<~ ()"));
  std::set<std::string> names;
  const auto offer = [&](std::string_view name) {
    if (name.starts_with(prefix) && name.find(' ') == std::string_view::npos) names.emplace(name);
  };
  for (std::size_t i = 0; i < state_->modules.size() && names.size() < limit; ++i) {
    const LoadedModule& files = state_->load(i);
    if (files.symbols == nullptr) continue;
    for (const Symbol& symbol : files.symbols->all()) {
      const std::string_view linkage = symbol.name;
      if (linkage.find(part) == std::string_view::npos || linkage.find(".cold") != std::string_view::npos) continue;
      const std::string name = printable(without_signature(demangle(linkage)));
      offer(name);
      // "add" of "(anonymous namespace)::add"; colons in template arguments are not scopes.
      const std::string_view scopes = std::string_view(name).substr(0, name.find('<'));
      if (const auto scope = scopes.rfind("::"); scope != std::string_view::npos) offer(std::string_view(name).substr(scope + 2));
      if (names.size() >= limit) break;
    }
  }
  return {names.begin(), names.end()};
}

Address Symbolizer::end_of_function(Address start) {
  state_->refresh();
  const std::size_t position = state_->index.find(start);
  if (position == ModuleIndex::kNone) return 0;
  const LoadedModule& files = state_->load(position);
  const Address bias = state_->modules[position].load_bias;
  const Symbol* symbol = files.symbols == nullptr ? nullptr : files.symbols->find(start - bias);
  return symbol == nullptr ? 0 : files.symbols->end_of(*symbol) + bias;
}

std::optional<std::vector<InlinedFunction>> Symbolizer::inlined_into(Address address, std::size_t limit) {
  state_->refresh();
  const std::size_t position = state_->index.find(address);
  if (position == ModuleIndex::kNone) return std::nullopt;
  const LoadedModule& files = state_->load(position);
  if (files.info == nullptr) return std::nullopt;
  const auto calls = files.info->inlined_into(address - state_->modules[position].load_bias, limit);
  if (!calls) return std::nullopt;
  std::vector<InlinedFunction> functions;
  for (const InlinedCall& call : *calls) functions.push_back({printable(call.name), printable(call.file), call.line});
  return functions;
}

std::optional<std::vector<StepEnd>> Symbolizer::step_ends(Address pc, bool exact, std::size_t level, StepTo to) {
  state_->refresh();
  const Address inside = exact || pc == 0 ? pc : pc - 1;
  const std::size_t position = state_->index.find(inside);
  if (position == ModuleIndex::kNone) return std::nullopt;
  const LoadedModule& files = state_->load(position);
  if (files.info == nullptr) return std::nullopt;
  const Address bias = state_->modules[position].load_bias;
  const auto lines = files.info->lines_of_function(inside - bias, level);
  if (!lines || lines->starts.empty()) return std::nullopt;
  std::vector<StepEnd> ends;
  for (const LineStart& start : lines->starts) {
    const bool around = start.inlined.size() <= lines->inlined.size() &&
                        std::equal(start.inlined.begin(), start.inlined.end(), lines->inlined.begin());
    if (!around) continue;
    if (start.inlined.size() == lines->inlined.size() &&
        (to == StepTo::caller || (start.line == lines->line && start.file == lines->file)))
      continue;
    ends.push_back({start.address + bias, start.inlined.size()});
  }
  return ends;
}

bool Symbolizer::module_has_section(Address address, const char* section) {
  state_->refresh();
  const std::size_t position = state_->index.find(address);
  if (position == ModuleIndex::kNone) return false;
  const LoadedModule& files = state_->load(position);
  return files.image != nullptr && has_section(*files.image, section);
}

std::string Symbolizer::called_name(Address function, Address caller) {
  if (const std::string name = state_->imported_name(function, caller); !name.empty())
    return printable(without_signature(demangle(name)));
  const Frame& own = state_->meaning(function, true).frames.back();
  // Debug information of C libraries knows functions by internal names.
  return own.symbol.empty() || own.symbol.starts_with("_Z") ? own.function : own.symbol;
}

std::optional<Address> Symbolizer::address_of(std::string_view symbol) {
  state_->refresh();
  for (std::size_t i = 0; i < state_->modules.size(); ++i) {
    LoadedModule& files = state_->load(i);
    for (Image* image : {files.image, files.debug}) {
      if (image == nullptr) continue;
      if (auto value = symbol_value(*image, symbol)) return *value + state_->modules[i].load_bias;
    }
  }
  return std::nullopt;
}

}  // namespace stacktide

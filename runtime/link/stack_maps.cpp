#include "stack_maps.h"

#include <dwarf.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "dead_ends.h"
#include "debug_tree.h"
#include "function_map.h"
#include "instruction.h"
#include "movable.h"
#include "names_block.h"
#include "pins.h"
#include "program.h"

namespace stacktide::link {
namespace {

// More reasons for one function tell nothing new.
constexpr std::size_t kMaxReasons = 4;
constexpr std::uint32_t kMaxRun = 0x3fff;
constexpr std::uint32_t kMaxWords = 1U << 27;  // a frame of 1 GiB

template <class T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

bool is_slow_path(const Program& program, std::uint64_t target) {
  return std::ranges::any_of(program.names_at(target),
                             [](std::string_view name) { return name.starts_with("__morestack"); });
}

// All calls of a function; nullopt when an instruction is not known.
std::optional<std::vector<CallPlace>> calls_in(const Program& program, const ProgramFunction& function, Bytes code) {
  std::vector<CallPlace> calls;
  for (std::uint64_t at = 0; at < code.size();) {
    const auto instruction = decode(code.subspan(at));
    if (!instruction) return std::nullopt;
    const std::uint64_t target = function.begin + at + static_cast<std::uint64_t>(instruction->target);
    at += instruction->length;
    if (instruction->kind == Instruction::Kind::call)
      calls.push_back({function.begin + at, target, is_slow_path(program, target)});
    else if (instruction->kind == Instruction::Kind::indirect_call) calls.push_back({function.begin + at, 0, false});
  }
  return calls;
}

std::uint64_t loaded_bytes(const Object& object) {
  std::uint64_t bytes = 0;
  for (const Elf64_Shdr& section : object.sections()) {
    const bool loaded = (section.sh_flags & SHF_ALLOC) != 0 && section.sh_type != SHT_NOBITS;
    if (loaded && object.section_name(section) != STACKTIDE_MAPS_SECTION) bytes += section.sh_size;
  }
  return bytes;
}

class Maker {
 public:
  Maker(const Program& program, DebugTree& tree, FrameTable& frames)
      : program_(program), tree_(tree), frames_(frames), types_(tree), judge_(tree), names_(tree) {}

  void add_region(std::string_view section) {
    const Range range = program_.section(section);
    const Bytes code = program_.code(section);
    const auto anchors = program_.addresses_of(kMapsAnchor);
    if (range.lo == range.hi || code.size() != range.hi - range.lo || anchors.empty()) return;
    StackMaps::Region region{static_cast<std::int64_t>(range.lo - anchors.front()), range.hi - range.lo,
                             static_cast<std::uint32_t>(maps_.statistics.sites), 0};
    region_ = static_cast<std::uint32_t>(maps_.regions.size());
    lo_ = range.lo;
    movable_ = section == kMovableSection;
    std::uint64_t done_to = 0;
    for (const ProgramFunction& function : program_.functions()) {
      if (!range.contains(function.begin) || function.begin < done_to || function.end > range.hi) continue;
      done_to = function.end;
      add_function(function, code.subspan(function.begin - range.lo, function.end - function.begin));
    }
    region.site_count = static_cast<std::uint32_t>(maps_.statistics.sites) - region.first_site;
    maps_.regions.push_back(region);
  }

  StackMaps take() {
    maps_.names = names_.finish();
    maps_.statistics.shapes = shapes_.size();
    return std::move(maps_);
  }

 private:
  void add_function(const ProgramFunction& function, Bytes code) {
    const auto calls = calls_in(program_, function, code);
    // The runtime's own assembly has no checks, and is no goroutine code.
    if (!calls || std::ranges::none_of(*calls, &CallPlace::slow_path)) return;
    ++maps_.statistics.functions;
    Dwarf_Die* entry = tree_.function_at(function.begin);
    const HowCompiled how = entry == nullptr ? HowCompiled{} : how_compiled(*entry);
    const Callees callees{[&](std::uint64_t target) { return returns(target); },
                          [&](std::uint64_t target) { return register_arguments(target); }};
    const bool apart = how.lives_kept && !has_dead_ends(function, code, callees);
    const FunctionMap map(entry == nullptr ? std::vector<Variable>{} : variables_of(*entry), function.begin, apart,
                          how.optimised, types_);
    const bool pinned = !movable_ || add_pins(function, how.variables, map, *calls);
    for (const CallPlace& call : *calls) {
      // Of a frame without a shape, nothing is known.
      const bool known = add_site(call, map, pinned);
      if (movable_ && (pinned || !known)) ++maps_.pinned_sites;
    }
  }

  // The functions behind an address, by their linkage names: a thunk's too.
  Dwarf_Die* callee_at(std::uint64_t target) {
    if (Dwarf_Die* found = tree_.function_at(target)) return found;
    for (std::string_view name : program_.names_at(target)) {
      if (name.starts_with("__wrap_")) name.remove_prefix(7);
      if (Dwarf_Die* found = tree_.function_named(std::string(name))) return found;
    }
    return nullptr;
  }

  // How many arguments a function takes, all of them in general registers; -1: it is not known, or they are not.
  int register_arguments(std::uint64_t target) {
    for (const std::string_view name : program_.names_at(target)) {
      if (const int known = arguments_of(name); known >= 0) return known;
    }
    Dwarf_Die* callee = callee_at(target);
    if (callee == nullptr) return -1;
    int count = 0;
    bool known = true;
    each_child(*callee, [&](Dwarf_Die& child) {
      const int tag = dwarf_tag(&child);
      if (tag == DW_TAG_unspecified_parameters) known = false;
      if (tag != DW_TAG_formal_parameter) return;
      ++count;
      const auto type = type_of(child);
      auto real = type ? peeled(*type) : std::nullopt;
      Dwarf_Attribute attribute;
      Dwarf_Word encoding = 0;
      const bool floating = real && dwarf_formudata(dwarf_attr(&*real, DW_AT_encoding, &attribute), &encoding) == 0 &&
                            (encoding == DW_ATE_float || encoding == DW_ATE_complex_float);
      known = known && real && !is_class(*real) && !floating;
    });
    const auto result = type_of(*callee);
    auto real = result ? peeled(*result) : std::nullopt;
    return known && !(real && is_class(*real)) ? count : -1;
  }

  bool returns(std::uint64_t target) {
    const auto [known, fresh] = returns_.try_emplace(target, true);
    if (!fresh) return known->second;
    bool never = std::ranges::any_of(program_.names_at(target), [](std::string_view name) { return never_returns(name); });
    if (Dwarf_Die* callee = never ? nullptr : callee_at(target); callee != nullptr) never = flag_of(*callee, DW_AT_noreturn);
    // GCC finds out by itself which of the program's functions do not return.
    const ProgramFunction* function = never ? nullptr : program_.function_at(target);
    if (function != nullptr && function->begin == target) {
      for (const std::string_view section : {kMovableSection, kPinnedSection}) {
        const Range range = program_.section(section);
        const Bytes code = program_.code(section);
        if (!range.contains(target) || function->end > range.hi || is_slow_path(program_, target)) continue;
        never = !has_end(*function, code.subspan(function->begin - range.lo, function->end - function->begin));
      }
    }
    return returns_[target] = !never;
  }

  bool add_site(const CallPlace& call, const FunctionMap& map, bool pinned) {
    ++maps_.statistics.sites;
    // Inside the call: the return address may have other rules, or belong to the next function.
    const auto rules = frames_.rules_at(call.return_address - 1);
    std::uint32_t shape = STACKTIDE_NO_SHAPE;
    SiteMap site;
    if (rules) {
      site = map.at(call, *rules);
      shape = shape_of(*rules, site, pinned, call.slow_path);
      names_.add_list(map.names_at(call, *rules));
    } else {
      names_.add_list({});
    }
    if (shape != STACKTIDE_NO_SHAPE) {
      ++maps_.statistics.mapped;
      count_words(*rules, site);
    }
    append(maps_.sites, stacktide_map_site{static_cast<std::uint32_t>(call.return_address - lo_),
                                           shape | site.scalar_registers << 20 | site.pointer_registers << 26});
    return shape != STACKTIDE_NO_SHAPE;
  }

  std::uint32_t shape_of(const FrameRules& rules, const SiteMap& site, bool pinned, bool slow_path) {
    std::string slots;
    std::string runs;
    stacktide_map_shape shape{};
    shape.cfa = rules.cfa;
    shape.flags =
        static_cast<std::uint8_t>((pinned ? STACKTIDE_SHAPE_PINNED : 0) | (slow_path ? STACKTIDE_SHAPE_MORESTACK : 0));
    shape.offset = rules.offset;
    for (std::size_t i = 0; i < rules.slots.size(); ++i) {
      if (rules.slots[i] < 0) continue;
      shape.saved |= static_cast<std::uint8_t>(1U << i);
      append(slots, static_cast<std::uint16_t>(rules.slots[i]));
    }
    std::uint32_t count = 0;
    for (std::size_t at = 0; at < site.words.size(); ++count) {
      std::size_t end = at;
      while (end < site.words.size() && site.words[end] == site.words[at] && end - at < kMaxRun) ++end;
      append(runs, static_cast<std::uint16_t>(site.words[at] << 14 | (end - at)));
      at = end;
    }
    if (count > 0xffff || site.words.size() > kMaxWords) return STACKTIDE_NO_SHAPE;
    shape.runs = static_cast<std::uint16_t>(count);
    std::string bytes;
    append(bytes, shape);
    bytes += slots + runs;
    bytes.resize((bytes.size() + 3) / 4 * 4);
    const auto next = static_cast<std::uint32_t>(maps_.shapes.size() / 4);
    if (next >= STACKTIDE_NO_SHAPE) return STACKTIDE_NO_SHAPE;
    const auto [found, fresh] = shapes_.try_emplace(bytes, next);
    if (fresh) maps_.shapes += bytes;
    return found->second;
  }

  void count_words(const FrameRules& rules, const SiteMap& site) {
    auto& words = maps_.statistics.words;
    std::uint64_t saved = 0;
    for (const std::int32_t slot : rules.slots) saved += slot >= 0;
    std::array<std::uint64_t, 4> kinds{};
    for (const std::uint8_t kind : site.words) ++kinds[kind];
    if (kinds[STACKTIDE_WORD_FRAME] > 0) ++words[0], words[1] += kinds[STACKTIDE_WORD_FRAME] - 1;
    words[2] += kinds[STACKTIDE_WORD_POINTER];
    words[3] += kinds[STACKTIDE_WORD_SCALAR];
    words[4] += kinds[STACKTIDE_WORD_UNKNOWN];
    // Where the frame ends is known by the CFA alone if that hangs on rsp.
    const std::uint64_t all = rules.cfa == STACKTIDE_CFA_RSP ? static_cast<std::uint64_t>(rules.offset) / 8 : 0;
    if (all > site.words.size()) words[4] += all - site.words.size();
  }

  bool add_pins(const ProgramFunction& function, bool known, const FunctionMap& map, const std::vector<CallPlace>& calls) {
    std::vector<PinReason> reasons;
    const std::string name = demangle(function.name);
    const auto add = [&](std::string variable, std::string type) {
      // The first of a name says enough: what is inlined has a "this" for every base.
      const bool had = std::ranges::any_of(reasons, [&](const PinReason& reason) {
        return reason.variable == variable && (reason.type == type || variable == "this");
      });
      if (!had && reasons.size() < kMaxReasons) reasons.push_back({name, std::move(variable), std::move(type)});
    };
    if (!known) add("", "no debug information");
    for (const Variable& variable : map.variables()) {
      if (judge_.variable_pins(variable.type, variable.is_this))
        add(variable.name.empty() ? "(unnamed)" : variable.name, spelled(tree_, variable.type));
    }
    for (const CallPlace& call : calls) {
      Dwarf_Die* callee = call.slow_path || call.target == 0 ? nullptr : callee_at(call.target);
      std::string type;
      if (callee != nullptr && judge_.call_pins(*callee, type)) add("", "a temporary " + type);
    }
    for (const PinReason& reason : reasons) {
      names_.add_pin(region_, static_cast<std::uint32_t>(function.begin - lo_),
                     static_cast<std::uint32_t>(function.end - lo_), reason);
      maps_.pins.push_back(reason);
    }
    maps_.statistics.pinned += !reasons.empty();
    return !reasons.empty();
  }

  const Program& program_;
  DebugTree& tree_;
  FrameTable& frames_;
  TypeReader types_;
  PinJudge judge_;
  NamesBlock names_;
  StackMaps maps_;
  std::unordered_map<std::uint64_t, bool> returns_;  // by address
  std::map<std::string, std::uint32_t> shapes_;      // bytes -> offset in units of 4
  std::uint32_t region_ = 0;
  std::uint64_t lo_ = 0;
  bool movable_ = false;
};

}  // namespace

Result<StackMaps> make_stack_maps(const std::filesystem::path& path, bool need_names) {
  const auto file = MappedFile::open(path);
  if (!file) return std::unexpected(file.error());
  if (!is_program(file->bytes()))
    return std::unexpected(path.string() +
                           ": not a linked program for x86-64 Linux, so there is no code to make stack maps of");
  const auto object = Object::parse(file->bytes(), path.string());
  if (!object) return std::unexpected(object.error());
  if (object->symbol_count() == 0)
    return std::unexpected(path.string() + ": no symbols: it is stripped; make stack maps before stripping");
  const Program program(*object);
  auto tree = DebugTree::open(path);
  if (!tree && need_names) return std::unexpected(tree.error());
  DebugTree nothing;
  auto frames = FrameTable::open(path);
  if (!frames) return std::unexpected(frames.error());
  Maker maker(program, tree ? *tree : nothing, *frames);
  maker.add_region(kMovableSection);
  maker.add_region(kPinnedSection);
  StackMaps maps = maker.take();
  maps.statistics.loaded = loaded_bytes(*object);
  return maps;
}

}  // namespace stacktide::link

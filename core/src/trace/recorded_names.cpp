#include "trace/recorded_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "symbols/names.h"

namespace stacktide {
namespace {

// The program has ended: nothing of it can be read but its files.
class NoMemory : public Memory {
 public:
  std::size_t read_up_to(Address, std::span<std::byte>) override { return 0; }
};

std::vector<TraceLevel> to_levels(const std::vector<Frame>& frames) {
  std::vector<TraceLevel> levels;
  for (const auto& frame : frames) levels.push_back({frame.function, frame.file, frame.line, frame.module, frame.symbol});
  return levels;
}

}  // namespace

RecordedNames::RecordedNames(const Recording& recording)
    : recording_(recording),
      modules_(recording.modules()),
      memory_(std::make_unique<NoMemory>()),
      symbolizer_(std::make_unique<Symbolizer>(*memory_, modules_, images_)) {}

RecordedNames::~RecordedNames() = default;

std::string RecordedNames::wait_reason(std::uint16_t value) {
  const auto& text = recording_.wait_reason(value);
  return text.empty() ? fmt::format("reason {}", value) : text;
}

const std::vector<TraceLevel>& RecordedNames::levels(std::uint64_t pc, bool exact) {
  const auto& symbols = recording_.symbols();
  if (const auto recorded = symbols.find({pc, exact}); recorded != symbols.end()) return recorded->second;
  auto [found, fresh] = found_.try_emplace({pc, exact});
  if (fresh) found->second = find(pc, exact);
  return found->second;
}

// Lets the symbolizer open the file of the module there, if it is the one that was recorded.
void RecordedNames::use_file_at(std::uint64_t address) {
  const auto module =
      std::ranges::find_if(modules_, [&](const Module& one) { return address >= one.start && address < one.end; });
  if (module == modules_.end() || !checked_.insert(module->start).second) return;
  std::string problem;
  const auto* image = images_.get(module->path, &problem);
  if (image == nullptr) {
    if (!module->path.starts_with('[')) warnings_.push_back(fmt::format("{}: addresses in it stay numbers", problem));
  } else if (image->build_id() != module->build_id) {
    warnings_.push_back(
        fmt::format("{} is another build than the one that was recorded: addresses in it stay numbers", module->path));
  } else {
    module->file = module->path;
  }
}

std::vector<TraceLevel> RecordedNames::find(std::uint64_t pc, bool exact) {
  use_file_at(exact || pc == 0 ? pc : pc - 1);
  auto levels = to_levels(symbolizer_->symbolize(pc, exact));
  if (exact && std::ranges::all_of(levels, is_runtime_level)) add_lambda(pc, levels);
  return levels;
}

// go() of a lambda starts a function template of the runtime's, in which the lambda is called, inlined or not. The first
// place in its code that is the user's tells which; else the lambda's own function, whose name is in the template's.
void RecordedNames::add_lambda(std::uint64_t address, std::vector<TraceLevel>& levels) {
  constexpr std::uint64_t kMost = 4096;  // bytes of code that are looked at
  if (levels.back().function.empty()) return;
  const auto end = symbolizer_->end_of_function(address);
  for (auto pc = address + 1; pc < end && pc - address < kMost; ++pc) {
    auto inside = to_levels(symbolizer_->symbolize(pc, true));
    // From the outermost level on: what the lambda calls may be inlined into it.
    std::ranges::reverse(inside);
    for (auto& level : inside) {
      // What is local to the template has a name without its namespace; it stands in the same file.
      if (level.function.empty() || !is_user_level(level) || level.file == levels.back().file) continue;
      levels.insert(levels.begin(), std::move(level));
      return;
    }
  }
  // As the symbol table has it: debug information writes a lambda's type in another way.
  const auto name = without_signature(demangle(levels.back().symbol));
  const auto open = name.find("closure<");
  if (open == std::string::npos) return;
  const auto begin = open + std::string_view("closure<").size();
  std::size_t depth = 0;
  auto stop = begin;
  for (; stop < name.size(); ++stop) {
    const char c = name[stop];
    if (depth == 0 && (c == ',' || c == '>')) break;
    if (c == '<' || c == '(' || c == '{') ++depth;
    if (depth != 0 && (c == '>' || c == ')' || c == '}')) --depth;
  }
  const auto callable = name.substr(begin, stop - begin) + "::operator()";
  // Other lambdas' may count as meant by this text, and come first.
  constexpr std::size_t kLambdas = 10000;
  const auto functions = symbolizer_->functions(
      callable, [](const std::string&) { return false; }, kLambdas);
  const auto found = std::ranges::find(functions, callable, &SymbolAt::name);
  if (found == functions.end()) return;
  auto own = to_levels(symbolizer_->symbolize(found->start, true));
  levels.insert(levels.begin(), std::move(own.back()));
}

std::vector<std::pair<std::uint64_t, bool>> addresses_of(const Recording& recording) {
  std::set<std::pair<std::uint64_t, bool>> all;
  for (const auto number : recording.chain_numbers()) {
    for (const auto pc : recording.chain(number)) all.emplace(pc, false);
  }
  recording.visit([&](const TraceRecord& record) {
    if (record.kind() != STACKTIDE_TRACE_SPAWN) return;
    const auto& spawn = record.as<stacktide_trace_spawn>();
    if (spawn.entry != 0) all.emplace(spawn.entry, true);
    if (spawn.creation_pc != 0) all.emplace(spawn.creation_pc, false);
  });
  return {all.begin(), all.end()};
}

}  // namespace stacktide

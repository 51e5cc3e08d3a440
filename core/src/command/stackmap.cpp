#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/pattern.h"
#include "command/place_finder.h"
#include "command/table.h"
#include "view/stackmap.h"

namespace stacktide {
namespace {

// Below this lies no memory of a program.
constexpr std::uint64_t kLowest = 4096;

// What a value points to, as far as that is worth a word: a scalar only where it looks like an address in the own stack.
std::optional<Place> pointed_to(PlaceFinder& finder, const Goroutine& self, std::optional<std::uint64_t> value,
                                WordKind kind) {
  if (!value || *value < kLowest) return std::nullopt;
  auto place = finder.classify(*value);
  if (kind == WordKind::scalar && (place.kind != PlaceKind::stack || place.goroutine != self.id)) return std::nullopt;
  if (kind != WordKind::pointer && place.kind == PlaceKind::absent) return std::nullopt;
  finder.complete(place);
  return place;
}

PinnedBy pinned_by(const StackMaps& maps, Address pc) { return {maps.pins(pc), maps.has_names()}; }

PicturedFrame picture(Session& session, PlaceFinder& finder, const Goroutine& goroutine, std::span<const MapFrame> frames,
                      std::size_t index) {
  PicturedFrame pictured;
  pictured.index = index;
  const auto& frame = frames[index];
  for (auto& word : words_of(frame, session.target().memory())) {
    PicturedWord one;
    auto kind = word.kind;
    if (word.saved) {
      one.caller = register_meaning(frames, index + 1, *word.saved);
      kind = one.caller.kind;
    }
    one.place = pointed_to(finder, goroutine, word.value, kind);
    one.word = std::move(word);
    pictured.words.push_back(std::move(one));
  }
  if (!frame.mapped()) return pictured;
  for (const auto& variable : frame.site->variables) {
    if (!variable.reg || *variable.reg >= kRegisterCount) continue;
    PicturedRegister one;
    one.dwarf = *variable.reg;
    one.kind = frame.site->registers[one.dwarf];
    if (one.kind == WordKind::unknown) one.kind = variable.kind;
    one.variable = &variable;
    one.value = frame.registers.get(static_cast<Register>(one.dwarf));
    one.place = pointed_to(finder, goroutine, one.value, one.kind);
    pictured.registers.push_back(std::move(one));
  }
  return pictured;
}

Result<CommandResult> of_goroutine(const CommandContext& context, const LoadedMaps& maps, Goroutine& goroutine) {
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  const auto wanted = STACKTIDE_TRY(context.arguments.number("--frame"));
  PlaceFinder finder(session, snapshot);
  // A copy: the finder may drop what it keeps while it looks at other goroutines.
  const auto stack = finder.frames_of(goroutine);
  StackmapModel model{goroutine, stack.frames, {}, stack.complete, stack.stop_reason, context.arguments.has("--all")};
  for (std::size_t i = 0; i < stack.frames.size(); ++i) {
    const auto& frame = stack.frames[i];
    if (wanted && (*wanted < frame.first_level || *wanted > frame.level)) continue;
    model.pictured.push_back(picture(session, finder, goroutine, stack.frames, i));
    if (frame.mapped() && frame.site->pinned) model.pictured.back().pinned_by = pinned_by(maps.maps, frame.site->pc);
  }
  if (wanted && model.pictured.empty()) {
    const auto levels = stack.frames.empty() ? 0 : stack.frames.back().level + 1;
    return fail(ErrorCode::usage,
                fmt::format("stackmap: goroutine {} has no frame {}, only {}", goroutine.id, *wanted, levels));
  }
  CommandResult result;
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    json["goroutines"] = Json::array({to_json(model)});
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  } else {
    result.out = stackmap_text(model, context.style);
  }
  warn_of_target(result, snapshot);
  warn(result, stack.problems);
  if (!maps.names_problem.empty()) warn(result, {maps.names_problem});
  return result;
}

// The functions that people mean by this: those of that very name, else those whose name matches.
Result<std::vector<FunctionMap>> functions_named(Session& session, const StackMaps& maps, const std::string& text) {
  std::map<Address, FunctionMap> all;  // by start
  auto& symbolizer = SessionAccess::symbolizer(session);
  for (const auto pc : maps.site_pcs()) {
    // A call may be the last instruction of its function.
    auto symbol = symbolizer.symbol_at(pc - 1);
    if (!symbol || symbol->symbol.empty() || !symbol->code) continue;
    auto& function = all[symbol->start];
    function.function = std::move(*symbol);
    function.places.emplace_back().pc = pc;
  }
  const auto plain = plain_name(text);
  const auto pattern = Pattern::compile(text);
  std::vector<FunctionMap> exact;
  std::vector<FunctionMap> matching;
  for (auto& [start, function] : all) {
    const auto& names = function.function;
    if (names.symbol == text || names.name == text || plain_name(names.name) == plain) {
      exact.push_back(std::move(function));
    } else if (pattern ? pattern->matches(names.name) : names.name.find(text) != std::string::npos) {
      matching.push_back(std::move(function));
    }
  }
  auto& found = exact.empty() ? matching : exact;
  if (found.empty()) {
    return fail(ErrorCode::usage, fmt::format("stackmap: no function with stack checks matches '{}'", text));
  }
  return std::move(found);
}

// The one site with this pc, or all of the function that the address lies in.
Result<std::vector<FunctionMap>> function_at(Session& session, const StackMaps& maps, Address pc) {
  const bool is_site = STACKTIDE_TRY(maps.site(pc)).has_value();
  auto& symbolizer = SessionAccess::symbolizer(session);
  const auto symbol = symbolizer.symbol_at(is_site ? pc - 1 : pc);
  FunctionMap function;
  if (symbol) function.function = *symbol;
  if (!symbol || symbol->symbol.empty()) function.function.start = pc;
  if (is_site) {
    function.places.emplace_back().pc = pc;
  } else if (symbol && symbol->code) {
    for (const auto one : maps.site_pcs()) {
      if (one > symbol->start && one - symbol->start <= symbol->size) function.places.emplace_back().pc = one;
    }
  }
  if (function.places.empty())
    return fail(ErrorCode::usage, fmt::format("stackmap: {:#x} lies in no function with stack checks", pc));
  return std::vector<FunctionMap>{std::move(function)};
}

Result<void> fill(Session& session, const StackMaps& maps, FunctionMap& function) {
  for (auto& place : function.places) {
    const auto pc = place.pc;
    auto site = STACKTIDE_TRY(maps.site(pc));
    if (!site) return fail(ErrorCode::damaged_data, "stack maps: a site is not found by its own address", pc);
    place = session.symbolize(pc, false).back();
    function.sites.push_back(std::move(*site));
  }
  if (!function.sites.empty()) function.pinned_by = pinned_by(maps, function.sites.front().pc);
  return {};
}

Result<CommandResult> of_functions(const CommandContext& context, const LoadedMaps& maps,
                                   std::vector<FunctionMap> functions) {
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (context.arguments.has("--frame")) return fail(ErrorCode::usage, "stackmap: --frame goes with the id of a goroutine");
  CommandResult result;
  auto list = Json::array();
  for (auto& function : functions) {
    if (auto done = fill(session, maps.maps, function); !done) return std::unexpected(done.error());
    if (context.arguments.has("--json")) {
      list.push_back(to_json(function));
    } else {
      result.out += function_map_text(function, context.style);
    }
  }
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    json["functions"] = std::move(list);
    json["counts"] = {{"functions", functions.size()}, {"sites", maps.maps.site_count()}};
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  }
  warn_of_target(result, snapshot);
  if (!maps.names_problem.empty()) warn(result, {maps.names_problem});
  return result;
}

}  // namespace

Result<CommandResult> run_stackmap(const CommandContext& context) {
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (!SessionAccess::layout(session).stack_maps_on) return std::unexpected(feature_off(snapshot, "stackmap"));
  const auto& positionals = context.arguments.positionals();
  const bool of_one = positionals.empty() || parse_number(positionals[0]);
  Goroutine* goroutine = of_one ? STACKTIDE_TRY(wanted_goroutine(context, "stackmap")) : nullptr;
  const auto& maps = *STACKTIDE_TRY(SessionAccess::stack_maps(session));
  if (goroutine != nullptr) return of_goroutine(context, maps, *goroutine);
  if (const auto pc = parse_address(positionals[0]))
    return of_functions(context, maps, STACKTIDE_TRY(function_at(session, maps.maps, *pc)));
  return of_functions(context, maps, STACKTIDE_TRY(functions_named(session, maps.maps, positionals[0])));
}

}  // namespace stacktide

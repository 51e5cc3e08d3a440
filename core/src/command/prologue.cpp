// prologue FUNC|PC: whatever the target is, a function's code is in it or in its file. A runtime, when there is one, has the
// exact constants.
#include <fmt/format.h>

#include "analyze/frames.h"
#include "base/pattern.h"
#include "command/session_access.h"
#include "command/table.h"
#include "view/prologue.h"

namespace stacktide {
namespace {

constexpr std::uint64_t kMaxCode = 1U << 20U;  // bytes of one function that are looked at
constexpr std::size_t kMaxFunctions = 10'000;
constexpr std::size_t kMaxListed = 50;  // functions in the list of too many
constexpr std::uint64_t kDefaultLimit = 8;
constexpr std::size_t kMaxInlined = 1000;

struct Constants {
  CheckLimits limits;
  bool runtime = false;
};

Constants constants_of(Session& session, CommandResult& result) {
  Constants constants;
  const auto descriptor = SessionAccess::find_descriptor(session);
  if (!descriptor) {
    if (descriptor.error().code != ErrorCode::no_runtime) warn(result, std::vector<Error>{descriptor.error()});
    return constants;
  }
  constants.runtime = true;
  const auto take = [&](std::string_view name, std::uint64_t& value) {
    const auto found = (*descriptor)->constants.find(name);
    if (found != (*descriptor)->constants.end() && found->second > 0) value = static_cast<std::uint64_t>(found->second);
  };
  take("stack_small", constants.limits.small);
  take("stack_big", constants.limits.big);
  take("stack_guard", constants.limits.guard);
  return constants;
}

// Why a function without a check has none.
std::string why_none(Session& session, const PrologueModel& model) {
  const auto& symbol = model.function.symbol;
  if (symbol.starts_with("__wrap_") || symbol.starts_with("__x86_indirect_thunk_"))
    return "a thunk made at link time: it goes on to the function on the thread's system stack";
  const auto levels = session.symbolize(model.function.start, true);
  if (model.runtime && levels.back().runtime)
    return "the runtime's own code, which runs on the thread's system stack or changes stacks by itself";
  if (!model.use.moves && !model.use.calls && !model.use.leaves && model.use.below == 0)
    return "a leaf that uses no stack: nothing to check";
  if (SessionAccess::symbolizer(session).module_has_section(model.function.start, ".gopclntab"))
    return "nosplit: Go's linker has made sure that it fits below the guard; or it is assembly that runs on a system stack";
  if (model.runtime) return "compiled without stack checks: it runs on the thread's system stack, when a goroutine calls it";
  return "compiled without stack checks (-fsplit-stack)";
}

Result<PrologueModel> explain(Session& session, SymbolAt function, const Constants& constants) {
  auto& symbolizer = SessionAccess::symbolizer(session);
  PrologueModel model;
  model.function = std::move(function);
  model.limits = constants.limits;
  model.runtime = constants.runtime;
  const auto start = model.function.start;
  const auto end = symbolizer.end_of_function(start);
  const auto size = end > start ? std::min(end - start, kMaxCode) : 0;
  if (size == 0) return fail(ErrorCode::no_symbols, fmt::format("prologue: {} has no code", model.function.name), start);
  model.bytes.resize(size);
  const auto got = SessionAccess::read_code(session, start, model.bytes);
  if (got == 0) return fail(ErrorCode::memory_fault, fmt::format("prologue: the code of {}", model.function.name), start);
  model.bytes.resize(got);
  model.code = disassemble(model.bytes, start);
  model.check = find_check(model.code, constants.limits);
  model.use =
      stack_use(model.code, model.check ? model.check->body : 0, model.check ? model.check->slow_path : InstructionRange{});
  if (!model.check) model.none = why_none(session, model);
  const auto place = session.symbolize(start, true).back();
  model.file = place.file;
  model.line = place.line;
  model.inlined = symbolizer.inlined_into(start, kMaxInlined);
  for (const auto& one : model.code) {
    if (!one.target || (*one.target >= start && *one.target < start + size)) continue;
    if (const auto there = symbolizer.symbol_at(*one.target); there && there->code && there->start == *one.target)
      model.names[*one.target] = there->name;
  }
  return model;
}

Result<std::vector<SymbolAt>> function_at(Symbolizer& symbolizer, Address pc) {
  auto symbol = symbolizer.symbol_at(pc);
  if (!symbol) return fail(ErrorCode::usage, fmt::format("prologue: {:#x} lies in no module of the target", pc));
  if (symbol->symbol.empty())
    return fail(ErrorCode::no_symbols, fmt::format("prologue: no symbol of {} covers {:#x}", symbol->module, pc));
  if (!symbol->code)
    return fail(ErrorCode::usage, fmt::format("prologue: {:#x} is data, {} in {}", pc, symbol->name, symbol->module));
  return std::vector<SymbolAt>{std::move(*symbol)};
}

Result<std::vector<SymbolAt>> functions_named(Symbolizer& symbolizer, const std::string& text) {
  const auto pattern = Pattern::compile(text);
  auto found = symbolizer.functions(
      text, [&](const std::string& name) { return pattern ? pattern->matches(name) : name.find(text) != std::string::npos; },
      kMaxFunctions);
  if (found.empty()) {
    return fail(ErrorCode::usage, fmt::format("prologue: no function is named '{}' or matches it; one that was inlined "
                                              "everywhere has no code: ask for its caller",
                                              text));
  }
  return found;
}

void list_instead(CommandResult& result, const std::vector<SymbolAt>& functions, std::uint64_t limit,
                  const CommandContext& context) {
  Table table;
  table.column("address", Align::left);
  table.column("function", Align::left);
  table.column("module", Align::left);
  for (std::size_t i = 0; i < std::min(functions.size(), kMaxListed); ++i) {
    const auto& one = functions[i];
    table.row({hex(one.start), short_name(one.name), std::string(base_name(one.module))});
  }
  result.out = table.render(context.style);
  if (functions.size() > kMaxListed) result.out += fmt::format("and {} more\n", functions.size() - kMaxListed);
  result.err += fmt::format("prologue: {} match '{}', more than {}: give an address or more of the name, or --limit 0\n",
                            plural(functions.size(), "function"), context.arguments.positionals()[0], limit);
  result.exit_code = 2;
}

}  // namespace

Result<CommandResult> run_prologue(const CommandContext& context) {
  auto& session = context.session;
  const auto& positionals = context.arguments.positionals();
  if (positionals.empty()) return fail(ErrorCode::usage, "prologue: of which function? give its name or an address");
  const auto limit = STACKTIDE_TRY(context.arguments.number("--limit")).value_or(kDefaultLimit);
  auto& symbolizer = SessionAccess::symbolizer(session);
  const auto pc = parse_address(positionals[0]);
  const auto functions = STACKTIDE_TRY(pc ? function_at(symbolizer, *pc) : functions_named(symbolizer, positionals[0]));
  CommandResult result;
  if (limit != 0 && functions.size() > limit) {
    list_instead(result, functions, limit, context);
    return result;
  }
  const auto constants = constants_of(session, result);
  auto list = Json::array();
  std::vector<Error> damage;
  for (const auto& function : functions) {
    const auto model = explain(session, function, constants);
    if (!model) {
      if (functions.size() == 1) return std::unexpected(model.error());
      damage.push_back(model.error());
    } else if (context.arguments.has("--json")) {
      list.push_back(to_json(*model));
    } else {
      result.out += prologue_text(*model, context.style);
    }
  }
  if (context.arguments.has("--json")) {
    auto json = json_head(session.target());
    json["constants"] = {{"stack_small", constants.limits.small},
                         {"stack_big", constants.limits.big},
                         {"stack_guard", constants.limits.guard},
                         {"exported", constants.runtime}};
    json["functions"] = std::move(list);
    json["counts"] = {{"functions", functions.size()}};
    json["damage"] = Json::array();
    for (const auto& line : session.target().damage()) json["damage"].push_back(line);
    for (const auto& error : damage) json["damage"].push_back(describe(error));
    result.out = dump(json);
  }
  warn(result, session.target().damage());
  warn(result, damage);
  return result;
}

}  // namespace stacktide

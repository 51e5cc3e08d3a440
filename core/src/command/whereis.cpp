// whereis: what an address is, above all whose stack it lies or lay in.
#include <fmt/format.h>

#include "command/place_finder.h"
#include "command/table.h"
#include "view/json.h"
#include "view/views.h"

namespace stacktide {

Result<CommandResult> run_whereis(const CommandContext& context) {
  const auto& positionals = context.arguments.positionals();
  if (positionals.empty()) return fail(ErrorCode::usage, "whereis: which address?");
  const auto address = parse_address(positionals[0]);
  if (!address) return fail(ErrorCode::usage, fmt::format("whereis: '{}' is not an address", positionals[0]));
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  const auto place = PlaceFinder(session, snapshot).find(*address);
  CommandResult result;
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    json["place"] = to_json(place);
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  } else {
    result.out = whereis_text(snapshot, place, context.style);
  }
  if (place.kind == PlaceKind::absent) result.exit_code = 1;
  warn_of_target(result, snapshot);
  return result;
}

}  // namespace stacktide

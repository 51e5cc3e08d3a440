// whereis: what an address is, above all whose stack it lies or lay in.
#include <fmt/format.h>

#include "command/objects.h"
#include "command/place_finder.h"
#include "command/table.h"
#include "view/json.h"
#include "view/objects.h"
#include "view/views.h"

namespace stacktide {
namespace {

// "channel, len 2 cap 8", or how far into one the address is.
std::string row_text(const ObjectReport& object, Address address) {
  auto text = object_with_type(object);
  return address == object.address
             ? text
             : fmt::format("{} into {}: {}", plural(address - object.address, "byte"), hex(object.address), text);
}

}  // namespace

Result<CommandResult> run_whereis(const CommandContext& context) {
  const auto& positionals = context.arguments.positionals();
  if (positionals.empty()) return fail(ErrorCode::usage, "whereis: which address?");
  const auto address = parse_address(positionals[0]);
  if (!address) return fail(ErrorCode::usage, fmt::format("whereis: '{}' is not an address", positionals[0]));
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  const auto place = PlaceFinder(session, snapshot).find(*address);
  std::optional<ObjectReport> object;
  if (context.arguments.has("--as")) {
    object = STACKTIDE_TRY(read_object(session, context.arguments.value("--as"), *address));
  } else {
    object = object_at(session, snapshot, *address);
  }
  CommandResult result;
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    json["place"] = to_json(place);
    json["object"] = object ? to_json(*object) : Json(nullptr);
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  } else {
    result.out = whereis_text(snapshot, place, context.style, object ? row_text(*object, *address) : "");
  }
  if (place.kind == PlaceKind::absent) result.exit_code = 1;
  warn_of_target(result, snapshot);
  return result;
}

}  // namespace stacktide

#include "command/audit.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/audit_scheduler.h"
#include "command/table.h"
#include "view/audit.h"

namespace stacktide {
namespace {

constexpr std::size_t kPromptEntries = 200;

}  // namespace

Result<CommandResult> run_audit(const CommandContext& context) {
  auto& session = context.session;
  SessionAccess::keep_data(session);
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (!SessionAccess::layout(session).goroutines) return std::unexpected(feature_off(snapshot, "the list of goroutines"));
  const auto seconds = STACKTIDE_TRY(context.arguments.number("--waiting"));
  constexpr std::uint64_t kLongest = 1U << 30U;
  LeakRule rule;
  if (seconds) rule.wait = std::chrono::seconds(std::min(*seconds, kLongest));
  PlaceFinder finder(session, snapshot);
  Audit audit;
  // What needs no maps is looked at all the same.
  if (const auto maps = SessionAccess::stack_maps(session); !maps) {
    audit.partial.push_back(fmt::format("pointers in frames are not audited: {}", describe(maps.error())));
  } else if (!(*maps)->names_problem.empty()) {
    audit.partial.push_back((*maps)->names_problem);
  }
  for (const auto& goroutine : snapshot.goroutines) audit_goroutine(session, snapshot, finder, goroutine, audit);
  audit_data(session, finder, audit);
  for (auto& goroutine : snapshot.goroutines) SessionAccess::locate_shallow(session, goroutine);
  const bool whole = SessionAccess::layout(session).scheduler_on && snapshot.goroutine_counts.skipped == 0;
  audit_scheduler(snapshot, whole, rule, audit);
  CommandResult result;
  if (context.arguments.has("--json")) {
    result.out = audit_json(snapshot, audit);
  } else {
    const bool cut = context.options.terminal && !context.arguments.has("--all");
    result.out = audit_text(audit, cut ? kPromptEntries : audit.entries.size());
  }
  if (audit.findings() != 0) result.exit_code = 1;
  // Findings win over what is partial: exit code 1 stays.
  warn_of_target(result, snapshot);
  warn(result, audit.partial);
  return result;
}

}  // namespace stacktide

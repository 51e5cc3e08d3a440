#include "analyze/stack_report.h"

#include <fmt/format.h>

#include <optional>

#include "stacktide/abi.h"

namespace stacktide {
namespace {

std::optional<std::uint64_t> scheduler_value(const Snapshot& snapshot, const std::string& name) {
  const auto found = snapshot.scheduler.values.find(name);
  if (found == snapshot.scheduler.values.end()) return std::nullopt;
  return found->second;
}

constexpr const char* kFixed = "stacks of this runtime have a fixed size";

// What growing does to this stack, by the policy; how much the new stack or segment holds where that is known.
std::string growth(const Goroutine& goroutine, const Snapshot& snapshot) {
  const auto& stack = goroutine.stack;
  const auto& policy = snapshot.scheduler.policy;
  const std::uint64_t current = stack.hi - stack.lo;
  const auto limit =
      scheduler_value(snapshot, "max_stack").value_or(static_cast<std::uint64_t>(constant_of(snapshot, "stack_max", 0)));
  const auto segment = scheduler_value(snapshot, "segment_size").value_or(0);
  const auto link =
      segment == 0 ? std::string("links a new segment") : fmt::format("links a segment of {} bytes or more", segment);
  std::string copy = fmt::format("copies the stack to {} bytes or more", current * 2);
  if (limit != 0 && current * 2 > limit) copy = fmt::format("ends the program, for the limit is {} bytes", limit);
  if (stacks_are_fixed(snapshot)) return kFixed;
  if (policy == "contiguous") return copy;
  if (policy == "segmented") return link;
  if (policy != "auto") return "grows the stack";
  auto text = fmt::format("{} if all its frames are movable, else {}", copy, link);
  if (stack.pinned_pc != 0) {
    text += stack.pinned_by.empty() ? fmt::format(" (last pinned by {:#x})", stack.pinned_pc)
                                    : fmt::format(" (last pinned by {})", stack.pinned_by);
  }
  return text;
}

std::string next_check(const Goroutine& goroutine, const Snapshot& snapshot) {
  const auto& stack = goroutine.stack;
  switch (stack.guard_state) {
    case GuardState::none:
      return "no guard: this stack is not checked";
    case GuardState::unknown:
      return stacks_are_fixed(snapshot) ? kFixed : "unknown: goroutine.stackguard0 is not exported";
    case GuardState::preempt:
      return "yields, for the scheduler asked it to";
    case GuardState::force_move:
      return "moves the stack, for that was asked of it";
    case GuardState::corrupt:
      return fmt::format("unknown: stackguard0 {:#x} is neither the guard nor a sentinel", stack.guard_slot);
    case GuardState::armed:
      break;
  }
  if (stack.sp == 0) return "passes while sp stays above the guard; sp is not known now";
  const auto small = constant_of(snapshot, "stack_small", 0);
  const auto what = growth(goroutine, snapshot);
  const auto headroom = stack.headroom.value_or(0);
  if (headroom <= 0) return fmt::format("would fail at this sp, which is not above the guard: {}", what);
  auto text = fmt::format("passes for frames up to {} bytes", headroom);
  if (small > headroom) text = fmt::format("passes for frames below {} bytes, which may reach under the guard", small);
  return fmt::format("{}; a larger one {}", text, what);
}

void shrink(const Goroutine& goroutine, const Snapshot& snapshot, StackReport& report) {
  const auto& stack = goroutine.stack;
  const auto& segment = stack.segments.front();
  const auto minimum =
      scheduler_value(snapshot, "min_stack").value_or(static_cast<std::uint64_t>(constant_of(snapshot, "stack_min", 0)));
  const auto no = [&](std::string why) { report.shrink = "no: " + std::move(why); };
  if (stacks_are_fixed(snapshot)) return no(kFixed);
  const auto shrinking = scheduler_value(snapshot, "shrink");
  if (!shrinking) {
    report.will_shrink.reset();
    report.shrink = "unknown: scheduler.shrink is not exported";
    return;
  }
  if (*shrinking == 0) return no("shrinking is off");
  if (snapshot.scheduler.policy == "segmented") return no("the policy is to link segments, and those are not halved");
  if (goroutine.status != "waiting") return no("only parked goroutines are shrunk");
  if (stack.pinned_pc != 0) return no("it is pinned" + (stack.pinned_by.empty() ? "" : " by " + stack.pinned_by));
  if (segment.size() <= minimum) return no(fmt::format("{} bytes is the minimum", minimum));
  if (segment.used() >= segment.size() / 4)
    return no(fmt::format("{} of {} bytes are used, a quarter or more", segment.used(), segment.size()));
  report.will_shrink = true;
  report.shrink = fmt::format("yes, to {} bytes: {} of {} are used", segment.size() / 2, segment.used(), segment.size());
}

}  // namespace

bool stacks_are_fixed(const Snapshot& snapshot) { return constant_of(snapshot, STACKTIDE_CONSTANT_FIXED, 0) != 0; }

std::int64_t constant_of(const Snapshot& snapshot, const std::string& name, std::int64_t otherwise) {
  const auto found = snapshot.runtime.constants.find(name);
  return found == snapshot.runtime.constants.end() ? otherwise : found->second;
}

StackReport report_stack(const Goroutine& goroutine, const Snapshot& snapshot) {
  StackReport report;
  if (goroutine.stack.segments.empty()) {
    report.next_check = "no stack";
    report.shrink = "no: there is no stack";
    return report;
  }
  report.next_check = next_check(goroutine, snapshot);
  shrink(goroutine, snapshot, report);
  return report;
}

}  // namespace stacktide

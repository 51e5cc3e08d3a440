#include "analyze/metrics.h"

#include <algorithm>
#include <array>

namespace stacktide {
namespace {

constexpr std::string_view kNeededRoom = "the one that needed room";

constexpr std::array kMetrics = {
    MetricInfo{
        Metric::largest_stack, "largest_stack", Unit::bytes, TracePart::growth, true, true, true,
        "How big the largest stack was.",
        "The most bytes that the segments of one goroutine had together, at any time. With a function: after growths that "
        "this function needed.",
        kNeededRoom,
        "Look for large locals and deep recursion below the function that needed room: `stacktide trace show`, and "
        "`prologue FUNCTION` for its frame. Move buffers to the heap."},
    MetricInfo{
        Metric::high_water, "high_water", Unit::bytes, TracePart::growth, true, true, false,
        "How many bytes of stack a goroutine used at most.",
        "The largest use that was recorded of any goroutine: at failed checks, waits and shrinks, and the runtime's own "
        "counter where the goroutine's end was recorded.",
        "", "As for largest_stack; what is used and not what is allocated counts here, so the first size does not matter."},
    MetricInfo{Metric::growths_per_goroutine, "growths_per_goroutine", Unit::count, TracePart::growth, true, true, true,
               "How often the stack of one goroutine grew.",
               "Copies to a larger stack and linked segments of one goroutine, of the one that has most.", kNeededRoom,
               "Begin with a larger stack: `stacktide trace advise` says what which STACKTIDE_MINSTACK saves and costs."},
    MetricInfo{Metric::growths, "growths", Unit::count, TracePart::growth, true, true, true,
               "How often stacks grew, in all.", "Copies to a larger stack and linked segments, over all goroutines.",
               kNeededRoom,
               "Begin with a larger stack, or let goroutines live longer, so that each grows once and not once a request."},
    MetricInfo{Metric::bytes_copied, "bytes_copied", Unit::bytes, TracePart::growth, true, true, true,
               "How much was copied because stacks changed their size.",
               "Bytes in use that growths and shrinks moved to another stack, over all goroutines. A shrink counts with the "
               "function of the goroutine's growth before it.",
               kNeededRoom, "Begin with a larger stack, or with STACKTIDE_SHRINK=off where stacks grow and shrink in turn."},
    MetricInfo{
        Metric::growth_time_share, "growth_time_share", Unit::percent, TracePart::growth, true, true, true,
        "Which part of the run went into growing and shrinking stacks.",
        "Nanoseconds that growths, links and shrinks took, over all goroutines, divided by the time from the first record "
        "to the last. Goroutines run side by side, so it can exceed 100%.",
        kNeededRoom, "As for bytes_copied; `stacktide trace export --pprof` shows the time by calls."},
    MetricInfo{
        Metric::longest_growth, "longest_growth", Unit::nanoseconds, TracePart::growth, true, true, true,
        "How long the longest single growth or shrink took.",
        "Nanoseconds of the one event that took longest. It is measured by the clock, so a busy machine makes it longer.",
        kNeededRoom, "A long one copies much: keep deep stacks from growing late, by a larger first size."},
    MetricInfo{
        Metric::hot_splits, "hot_splits", Unit::count, TracePart::growth, true, true, true,
        "How often a call crossed the same boundary between two segments again.",
        "Links by the function that linked the segment before it, over all goroutines: a loop that pays for a segment at "
        "each turn. Only linked stacks have them.",
        kNeededRoom,
        "The caller's frame brings the callee to the end of its segment. Make the code movable (its stack is then "
        "copied once), use STACKTIDE_POLICY=contiguous, a larger STACKTIDE_SEGMENT, or a smaller frame in the loop."},
    MetricInfo{Metric::thrash, "thrash", Unit::count, TracePart::growth, true, true, true,
               "How often a stack grew again after it had shrunk.",
               "Growths of a goroutine that follow a shrink that followed a growth, over all goroutines.", kNeededRoom,
               "The goroutine needs its stack now and then: begin with a larger one, or set STACKTIDE_SHRINK=off."},
    MetricInfo{
        Metric::live_at_exit, "live_at_exit", Unit::count, TracePart::lifetime, true, true, true,
        "How many goroutines were left when the program ended.",
        "Goroutines other than the main one that waited, or were in a library call, at the end; those that ran, or could "
        "have, were "
        "cut off by it and do not count. Of a trace without an end: those whose exit is not in it.",
        "the one in which it waits",
        "A goroutine that waits for ever: close the channel that it receives from, receive what it sends, or give it a "
        "way to be told that it is over. Wait for goroutines (wait_group) before main returns."},
    MetricInfo{
        Metric::deadlock, "deadlock", Unit::count, TracePart::end, false, false, false,
        "Whether the program ended because all goroutines waited for each other.",
        "1 when the runtime ended it for a deadlock, else 0.", "",
        "See where each goroutine waits: in the failure, in the program's own message, or with `stacktide audit --core`."},
    MetricInfo{Metric::lost_events, "lost_events", Unit::count, TracePart::losses, false, false, false,
               "How many records are missing because there was no room for them.",
               "The recorder's own count. Where it is not 0, the other numbers may be too small.", "",
               "Record so that a full buffer waits: `stacktide record --help`."},
};

}  // namespace

std::span<const MetricInfo> metrics() { return kMetrics; }

const MetricInfo& info_of(Metric metric) { return kMetrics.at(static_cast<std::size_t>(metric)); }

const MetricInfo* find_metric(std::string_view name) {
  const auto found = std::ranges::find(kMetrics, name, &MetricInfo::name);
  return found == kMetrics.end() ? nullptr : &*found;
}

}  // namespace stacktide

#include "analyze/frames.h"

#include <algorithm>
#include <ranges>

namespace stacktide {

bool is_runtime_frame(const Frame& frame, std::span<const std::string> runtime_symbols) {
  if (frame.module.empty()) return true;
  // Linkage names say it exactly: readable ones of templates begin with what they return.
  const auto& name = frame.symbol.empty() ? frame.function : frame.symbol;
  return std::ranges::any_of(runtime_symbols, [&](const std::string& prefix) { return name.starts_with(prefix); });
}

bool is_system_frame(const Frame& frame) { return is_system_code(frame.module, frame.file); }

namespace {

// `frames` in the order of preference.
template <class Range>
const Frame* first_user_frame(Range&& frames) {
  const Frame* named = nullptr;
  for (const Frame& frame : frames) {
    if (frame.runtime) continue;
    if (!is_system_frame(frame)) return &frame;
    if (named == nullptr && !frame.function.empty()) named = &frame;
  }
  return named;
}

}  // namespace

const Frame* innermost_user_frame(std::span<const Frame> frames) { return first_user_frame(frames); }
const Frame* outermost_user_frame(std::span<const Frame> frames) { return first_user_frame(std::views::reverse(frames)); }

std::string state_of(const Goroutine& goroutine) {
  if (goroutine.wait_reason.empty()) return goroutine.status;
  return goroutine.status == "waiting" ? goroutine.wait_reason : goroutine.status + " (" + goroutine.wait_reason + ")";
}

bool waits_for_descriptor(const Goroutine& goroutine) {
  return goroutine.status == "waiting" && goroutine.wait_reason == "IO wait";  // Go's word
}

}  // namespace stacktide

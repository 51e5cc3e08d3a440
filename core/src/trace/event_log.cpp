#include "trace/event_log.h"

#include <algorithm>

namespace stacktide {

std::uint32_t EventLog::number_of(std::string_view text) {
  if (text.empty()) return 0;
  std::string key(text);
  if (const auto found = numbers_.find(key); found != numbers_.end()) return found->second;
  if (texts_.size() >= kTexts) return 0;
  const auto number = static_cast<std::uint32_t>(texts_.size());
  texts_.push_back(key);
  numbers_.emplace(std::move(key), number);
  return number;
}

void EventLog::add(const StackEvent& event, std::uint32_t place) {
  const auto narrow = [](std::uint64_t value) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
  };
  if (last_total_ == nullptr || texts_[last_kind_] != event.kind) {
    last_kind_ = number_of(event.kind);
    last_total_ = &totals_[event.kind];
  }
  events_.push_back(
      {event.time, event.goroutine, narrow(event.old_size), narrow(event.new_size), narrow(event.used), last_kind_, place});
  if (events_.size() > kKept) events_.pop_front();
  ++*last_total_;
  ++total_;
}

}  // namespace stacktide

// What a trace has seen: the latest events in a small form, and totals of all.
//
// Invariants. At most kKept events and kTexts different texts are kept; older events stay in the totals. Texts stay when the
// process that they came from is gone.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stacktide/core/snapshot.h"

namespace stacktide {

struct LoggedEvent {
  std::int64_t time = 0;
  std::uint64_t goroutine = 0;
  std::uint32_t old_size = 0;  // bytes, as in the record: saturating
  std::uint32_t new_size = 0;
  std::uint32_t used = 0;
  std::uint32_t kind = 0;   // EventLog::text()
  std::uint32_t place = 0;  // EventLog::text(): "recurse (grow.cpp:21)"
};

class EventLog {
 public:
  static constexpr std::size_t kKept = 100'000;
  static constexpr std::size_t kTexts = 65'536;

  EventLog() = default;
  // Not copied: it points into itself.
  EventLog(EventLog&&) = default;
  EventLog& operator=(EventLog&&) = default;

  // `place`: a number that number_of() gave for the text.
  void add(const StackEvent& event, std::uint32_t place);
  // 0 stands for "", and for all texts that are too many.
  std::uint32_t number_of(std::string_view text);
  // Oldest first, in the order they were added.
  const std::deque<LoggedEvent>& events() const { return events_; }
  const std::string& text(std::uint32_t number) const { return texts_[number]; }
  std::uint64_t total() const { return total_; }
  // By kind, of all events ever added.
  const std::map<std::string, std::uint64_t>& totals() const { return totals_; }

 private:
  std::deque<LoggedEvent> events_;
  std::vector<std::string> texts_{""};
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::map<std::string, std::uint64_t> totals_;
  std::uint64_t* last_total_ = nullptr;  // of last_kind_: kinds come in runs
  std::uint32_t last_kind_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace stacktide

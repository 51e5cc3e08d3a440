// Which records of a recording somebody wants to see, and what a record belongs to.
//
// Fed with every record in order, for a record's goroutine may have said earlier where it began and which function needed
// room last. Goroutines that have ended are forgotten, so that memory depends on how many live at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/pattern.h"
#include "trace/recording.h"
#include "trace/segment_sizes.h"
#include "trace/trace_names.h"

namespace stacktide {

// "grow" for a record's kind; "" for those that are not shown.
std::string_view kind_name(std::uint8_t kind);

// What is known of a record's goroutine at that moment.
struct TraceContext {
  std::uint64_t entry = 0;  // address; 0 unknown
  std::uint32_t chain = 0;  // of the record, or for a shrink or release that of the last grow or link
  std::uint64_t size = 0;   // bytes of the stack after it, over all segments; 0 unknown
};

class TraceSelection {
 public:
  std::optional<std::uint64_t> goroutine;
  std::optional<Pattern> entry;
  std::optional<Pattern> function;          // that needed room, or where a goroutine waits
  std::uint32_t kinds = ~std::uint32_t{0};  // bit n: kind n
  std::int64_t from = INT64_MIN;
  std::int64_t to = INT64_MAX;

  // "grow,park". Error: usage, naming those there are.
  Result<void> set_kinds(std::string_view text);
  // To be called for each record once, in order.
  TraceContext follow(const TraceRecord& record);
  bool matches(const TraceRecord& record, const TraceContext& context, TraceNames& names);

 private:
  struct Goroutine {
    std::uint64_t entry = 0;
    std::uint32_t chain = 0;
    SegmentSizes segments;
  };
  std::unordered_map<std::uint64_t, Goroutine> goroutines_;
  // regexec is slow, and a program has few functions.
  std::unordered_map<std::uint64_t, bool> entries_;
  std::unordered_map<std::uint64_t, bool> functions_;  // by chain and whether it is where something waits
};

}  // namespace stacktide

// What a trace advises: at which size goroutines had better start, where segments are linked again and again, and where
// stacks thrash.
//
// Concept. Stacks double, and a stack is as large as if it had started larger as soon as it has grown past that: with a
// first size S, a goroutine's stack is at each instant the larger one of S and what it was. So a growth to at most S does
// not happen, and neither does a shrink to less than S; all others happen as they did, and copy what they copied. That is
// what the prediction sums up, per entry function.
//
// Limits. It holds for the goroutine's first segment; segments that were linked are not predicted. A frame below StackSmall
// may just fit where the growth would have left out a size, and the monitor shrinks by the clock: either may make a few
// events more or less. Memory is an upper bound: a goroutine that reaches S has it anyway.
//
// Rejected: "a growth from less than S is saved". A large frame leaves out sizes, and still grows from S.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "trace/recording.h"
#include "trace/totals.h"
#include "trace/trace_names.h"

namespace stacktide {

// What another first size would change.
struct StartOption {
  std::uint64_t size = 0;  // bytes, a power of two times the recorded one
  std::uint64_t grows_saved = 0;
  std::uint64_t shrinks_saved = 0;
  std::uint64_t bytes_saved = 0;  // copied by these
  std::uint64_t nanoseconds_saved = 0;
  std::uint64_t more_each = 0;  // bytes of a goroutine that does not reach it
  std::uint64_t more = 0;       // bytes at most: more_each for all that were alive at the same time
  std::uint64_t reach = 0;      // goroutines whose stacks became as large anyway
};

struct HighWater {
  std::uint64_t p50 = 0;  // bytes
  std::uint64_t p90 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t most = 0;
  struct Bucket {
    std::uint64_t upto = 0;  // bytes, a power of two; the one before is exclusive
    std::uint64_t goroutines = 0;
  };
  std::vector<Bucket> histogram;  // without gaps
};

struct EntryAdvice {
  TracePlace entry;  // no function: goroutines whose spawn is not in the trace
  std::uint64_t goroutines = 0;
  std::uint64_t most_alive = 0;  // at the same time
  Growth growth;
  HighWater high_water;
  std::vector<StartOption> options;          // by size; none when nothing grew
  std::optional<std::size_t> recommended{};  // of options
  // Why none is: for people; "" when one is.
  std::string reason;
};

// Calls that linked a segment, or grew a stack that had just been shrunk.
struct CallAdvice {
  TracePlace function;  // that needed room
  TracePlace caller;
  Growth growth;
};

struct Advice {
  std::uint64_t first_size = 0;       // bytes with which goroutines started
  std::vector<EntryAdvice> entries;   // most time first
  EntryAdvice all;                    // every goroutine, whatever the filter says: what STACKTIDE_MINSTACK sets
  std::vector<CallAdvice> splits;     // with hot splits, most first
  std::vector<CallAdvice> thrashing;  // most first
};

// Reads the recording twice. `wanted` says which entry functions are of interest.
Advice advise(const Recording& recording, TraceNames& names, const std::function<bool(const std::string&)>& wanted);

// Growths from which on another first size is recommended.
inline constexpr std::uint64_t kWorthGrows = 100;

}  // namespace stacktide

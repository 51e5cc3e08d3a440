// What is new in the event rings since the last look.
//
// Concept. A cursor per ring: how many of its events were taken. read() takes those between the cursors and the rings'
// counts, a ring in one read (two where it wraps), and nothing else of the target; so it is cheap enough for the hook that
// the runtime calls each time a ring is half full of new events (runtime/abi: STACKTIDE_PENDING_HOOK). It knows nothing of
// filters, names or text: whoever prints events, or writes them to a file, starts from here.
//
// Invariants. An event is returned once, or counted as lost: overwritten before it was read, or not readable. Whatever the
// rings say is checked first; one that contradicts itself is a problem in words, and the others are read.
//
// Where a trace begins. skip() takes what is there as seen. Without it, the first read() that finds rings begins with the
// events that the hook was called for: all of them while no ring has more than half its capacity, which is so for a process
// that was watched from its start; else, in a process that was found running, those since the last call. drop_before()
// leaves out what is older than the trace itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "descriptor/descriptor.h"
#include "descriptor/layout.h"
#include "stacktide/core/snapshot.h"
#include "stacktide/core/target.h"

namespace stacktide {

struct NewEvents {
  std::vector<StackEvent> events;  // by time; ring and number are filled in, function is not
  std::uint64_t lost = 0;
  std::vector<std::string> problems;
};

class RingReader {
 public:
  // At most so many events in one read; more are lost.
  static constexpr std::uint64_t kMaxBatch = 1U << 20;

  // Events that are there now will not be returned.
  void skip(Memory& memory, const Descriptor& descriptor, const Layout& layout);
  // Events before this time (CLOCK_MONOTONIC of the target, ns) will not be returned, nor counted as lost.
  void drop_before(std::int64_t time) { not_before_ = time; }
  NewEvents read(Memory& memory, const Descriptor& descriptor, const Layout& layout);
  // Another process: its rings are new ones.
  void restart() { cursors_.reset(); }

 private:
  std::optional<std::vector<std::uint64_t>> cursors_;  // nothing: no rings were seen yet
  std::int64_t not_before_ = INT64_MIN;
};

}  // namespace stacktide

// A step of one goroutine: to the next line, or out of a frame, whatever its stack does meanwhile.
//
// Concept. A debugger knows a frame by its address, and a stack that grows or shrinks takes its frames elsewhere. So a step
// is a set of breakpoints (on the starts of the function's other lines, on the return address, and where C++ catches
// exceptions), each with one condition: the same goroutine, and the frame as far from the top of its stack as at the start,
// over all segments. Recursion, moves, linked segments, other threads and other goroutines in the same function do not
// matter then. The host sets the breakpoints, asks ends() at each hit, and takes them away when it stopped for any reason.
//
// Invariants. A Step holds values only, and refers to no session: the one passed to ends() may be another one of the same
// process. Rejected: single steps and the host's own (their frame is an address); return probes (they rewrite the stack).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stacktide/core/command.h"

namespace stacktide {

enum class StepKind : std::uint8_t { next, finish };

// The frame that is stepped.
struct StepFrame {
  // Of the machine frame; 0: the innermost, or where that is the runtime's or has no lines, the innermost of the user's.
  Address cfa = 0;
  std::size_t inlined = 0;  // in how many functions inlined into it the place is shown to be
};

// Where a frame is: its distance from the top of its goroutine's stack, or, on a thread's own stack, its address.
struct FramePlace {
  bool on_goroutine = false;
  std::uint64_t value = 0;
  bool operator==(const FramePlace&) const = default;
};

class Step {
 public:
  // `goroutine` as running_on() or goroutine() gives it; `registers`: of its thread, or saved. Errors: damaged_data when the
  // frame cannot be found by unwinding, no_symbols when there is nowhere to stop.
  static Result<Step> plan(Session& session, StepKind kind, const Goroutine& goroutine, const Registers& registers,
                           const StepFrame& frame);

  std::uint64_t goroutine() const { return goroutine_; }
  // Where to stop; ends() may add to it. Sorted, none twice.
  const std::vector<Address>& breakpoints() const { return breakpoints_; }
  // The frame that is stepped, for people: "recurse (grow.cpp:21)".
  const std::string& from() const { return from_; }

  // After Verdict::stop: in how many inlined functions the place counts as being. A debugger that stops at the first
  // instruction of one shows it, where a step over its call is still at the call. Nothing when all at that place count.
  std::optional<std::size_t> inlined() const { return inlined_; }

  enum class Verdict : std::uint8_t {
    go_on,
    more,      // go on, with the breakpoints that came to breakpoints()
    stop,      // the step is over
    returned,  // and the frame has returned: its value is where the calling convention puts it
  };
  // A thread that `goroutine` runs on came to one of breakpoints().
  Verdict ends(Session& session, const Goroutine& goroutine, const Registers& registers);

 private:
  struct End {
    Address pc = 0;
    FramePlace place;
  };
  Verdict caught(Session& session, const Goroutine& goroutine, const Registers& registers);
  void add(Address address);

  std::uint64_t goroutine_ = 0;
  FramePlace place_;
  std::vector<std::pair<Address, std::size_t>> lines_;  // ends at place_, with their inlined(); sorted
  std::optional<End> caller_;
  Address catch_ = 0;  // __cxa_begin_catch; 0 none
  std::vector<End> catchers_;
  std::vector<Address> breakpoints_;
  std::string from_;
  std::optional<std::size_t> inlined_;
};

// What to say after a step of the host's own during which the stack moved; "" when it did not. `host`: its name, "GDB".
std::string move_warning(const Goroutine& before, const Goroutine& after, std::string_view host);
// What to say when the goroutine has ended during such a step: whether its stack had moved cannot be read any more.
std::string end_warning(const Goroutine& before, std::string_view host);

}  // namespace stacktide

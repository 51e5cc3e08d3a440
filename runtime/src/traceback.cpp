#include "traceback.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <string_view>

#include "frame_names.h"
#include "report.h"
#include "scheduler.h"
#include "signals.h"
#include "stack.h"

extern "C" {
extern const char stacktide_resume_pc[];
extern const char stacktide_preempted_pc[];
extern const char stacktide_segment_return[];
void stacktide_with_context(stacktide::runtime::Goroutine* g, void (*function)(void*), void* argument);
void stacktide_with_preempted(stacktide::runtime::Goroutine* g, void (*function)(void*), void* argument);
}

namespace stacktide::runtime {
namespace {

// As many as Go shows of a deep stack: the innermost, and the outermost.
constexpr std::uint64_t kInnerFrames = 50;
constexpr std::uint64_t kOuterFrames = 50;
constexpr std::uint64_t kMaxSteps = 1'000'000;

constinit TracebackLevel level = TracebackLevel::single;

const char* text_of(std::string_view enumeration, std::uint8_t number) {
#define STACKTIDE_TEXT(name, enumerator, value, text) \
  if (enumeration == #name && number == (value)) return text;
  STACKTIDE_ENUMS(STACKTIDE_TEXT)
#undef STACKTIDE_TEXT
  return "?";
}

struct Frames {
  TracebackStart start;
  bool started = false;
  std::uint64_t steps = 0;
  std::uint64_t shown = 0;            // the innermost ones, said when met
  std::uint64_t later = 0;            // frames behind them; the last ones are in `outer`
  std::uint64_t outer[kOuterFrames];  // pcs, a ring
};

_Unwind_Reason_Code step(_Unwind_Context* context, void* data) {
  auto& frames = *static_cast<Frames*>(data);
  int before = 0;
  std::uint64_t pc = _Unwind_GetIPInfo(context, &before);
  if (pc == 0 || ++frames.steps > kMaxSteps) return _URC_END_OF_STACK;
  if (!frames.started && frames.start.pc != 0 && pc != frames.start.pc) return _URC_NO_REASON;
  frames.started = true;
  // Where a function returns to its older segment: not a function of its own.
  if (pc == reinterpret_cast<std::uint64_t>(stacktide_segment_return)) return _URC_NO_REASON;
  if (before == 0) --pc;
  if (frames.shown < kInnerFrames) {
    frames.shown += static_cast<std::uint64_t>(say_functions_at(pc, frames.start.show_runtime));
  } else {
    frames.outer[frames.later++ % kOuterFrames] = pc;
  }
  return _URC_NO_REASON;
}

void say_frames(void* data) {
  auto& frames = *static_cast<Frames*>(data);
  _Unwind_Backtrace(step, data);
  if (frames.steps > kMaxSteps) say("...additional frames elided...\n");
  const std::uint64_t rest = std::min(frames.later, kOuterFrames);
  if (frames.later > rest) say("...%lu frames elided...\n", frames.later - rest);
  for (std::uint64_t i = frames.later - rest; i < frames.later; ++i)
    say_functions_at(frames.outer[i % kOuterFrames], frames.start.show_runtime);
}

Frames frames_from(const TracebackStart& start) {
  Frames frames;
  frames.start = start;
  frames.start.show_runtime |= level == TracebackLevel::system;
  return frames;
}

// The first goroutine is created by run() and has no creator to speak of, as in Go.
void say_creator(const Goroutine& g) {
  if (g.creation_pc != 0 && g.id != 1) say_created_by(g.creation_pc, g.parent);
}

// While one lives, nobody resumes the goroutine or moves its stack: it is claimed as a shrink would do.
class Claim {
 public:
  explicit Claim(Goroutine& g) : g_(g) {
    std::uint8_t waiting = status_waiting;
    claimed_ = g_.status.compare_exchange_strong(waiting, status_copystack, std::memory_order_acq_rel);
  }
  ~Claim() {
    std::uint8_t held = status_copystack;
    if (!claimed_ || g_.status.compare_exchange_strong(held, status_waiting, std::memory_order_acq_rel)) return;
    // Made ready meanwhile. It is in no queue then, and stays there: nothing is started any more.
    g_.status.store(status_runnable, std::memory_order_relaxed);
  }
  bool holds() const { return claimed_; }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  Goroutine& g_;
  bool claimed_;
};

bool walk(void (*f)(void*), void* argument) {
  if (survives_faults(f, argument)) return true;
  say("\t(a fault ends this traceback)\n");
  return false;
}

// A goroutine that does not run, and its saved context.
struct Parked {
  Goroutine& g;
  Frames frames;
};

void say_parked_frames(void* data) {
  auto& parked = *static_cast<Parked*>(data);
  const bool preempted = parked.g.pc == reinterpret_cast<std::uint64_t>(stacktide_preempted_pc);
  (preempted ? stacktide_with_preempted : stacktide_with_context)(&parked.g, say_frames, &parked.frames);
}

void trace_other(Goroutine& g) {
  say_header(g);
  const Claim claim(g);
  if (!claim.holds() && g.status.load(std::memory_order_relaxed) != status_runnable) {
    if (!trace_on_its_thread(g)) say("\tgoroutine running on other thread; stack unavailable\n");
  } else {
    Parked parked{g, frames_from({})};
    const bool walked = walk(say_parked_frames, &parked);
    // It has not begun yet, or its function has left for another by a jump.
    if (walked && parked.frames.shown == 0 && g.entry_pc != 0) say_entry(g.entry_pc);
  }
  say_creator(g);
}

}  // namespace

void prepare_tracebacks(TracebackLevel wanted) {
  level = wanted;
  open_symbols();
}

TracebackLevel traceback_level() { return level; }

void say_header(const Goroutine& g) {
  std::uint8_t status = g.status.load(std::memory_order_relaxed);
  // The monitor finds that the library call in which the error was found lasts: while it is reported.
  if (status == status_syscall && &g == current_goroutine() && g.wait_object != nullptr) status = status_running;
  const bool waiting = status == status_waiting;
  say("\ngoroutine %lu [%s", g.id, waiting ? text_of("wait_reason", g.wait_reason) : text_of("status", status));
  const std::int64_t since = waiting || status == status_syscall ? g.wait_since : 0;
  const std::int64_t minutes = since != 0 ? (clock_now() - since) / 60'000'000'000 : 0;
  if (minutes >= 1) say(", %ld minutes", minutes);
  if (g.own->locked_m != nullptr) say(", locked to thread");
  say("]:\n");
}

void trace_current(const TracebackStart& start) {
  const Goroutine* g = current_goroutine();
  if (g == nullptr) return;
  say_header(*g);
  trace_frames(start);
  say_creator(*g);
}

void trace_frames(const TracebackStart& start) {
  Frames frames = frames_from(start);
  walk(say_frames, &frames);
}

void trace_thread(const TracebackStart& start) {
  // The scheduler's, or a thread's that is none of it.
  if (stacktide_thread.m != nullptr) {
    say("\nruntime stack:\n");
  } else {
    say("\nthread %ld:\n", static_cast<long>(syscall(SYS_gettid)));
  }
  trace_frames(start);
}

void trace_others(const Goroutine* except, std::uint64_t limit) {
  std::uint64_t more = 0;
  for_each_goroutine([&](Goroutine& g) {
    if (g.id == 0 || &g == except) return;
    if ((g.flags & k_flag_system) != 0 && level != TracebackLevel::system) return;
    if (limit == 0) {
      ++more;
      return;
    }
    --limit;
    trace_other(g);
  });
  if (more != 0) say("\n...additional goroutines elided: %lu\n", more);
}

}  // namespace stacktide::runtime

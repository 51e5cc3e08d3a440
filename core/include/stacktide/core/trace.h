// The live trace: stack events as they happen, in GDB and LLDB alike.
//
// Concept. The runtime calls an empty function each time an event ring is half full of new events, and before the program
// ends. A host stops there, calls collect(), prints what comes back and lets the program go on; it calls collect() at every
// other stop too. So 100,000 events cost some 50 stops, and none is lost (runtime/src/events.h has the proof). With --stop
// or --bt, or where a runtime has no such function, the host stops at each event instead. A Trace is about one process at a
// time; options, parsing, lines and the summary are made here, so that hosts say the same.
//
// Invariants. Nothing is written to the target. collect() reads the rings alone, or one record: the Session may be older
// than the stop, and is to be kept as long as the target's modules are the same. What is kept for show() is bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/command.h"
#include "stacktide/core/result.h"
#include "stacktide/core/target.h"

namespace stacktide {

// An empty function of the runtime's, called at an event or when events are pending.
struct TraceHook {
  std::string_view name;  // its linkage name
  bool per_event = false;
};
// Called when a ring is half full of new events.
TraceHook pending_hook();
// Called at each event with the record's address in rdi and a code address in rsi.
TraceHook event_hook();
// "goroutine trace on [--goroutine ID] ...": what `trace` takes.
std::string_view trace_usage();

// Where the host has stopped.
struct TraceStop {
  bool at_hook = false;  // at one of the hooks: counted as a stop of this trace's
  Address event = 0;     // rdi at the event hook; 0 at any other stop
  Address caller = 0;    // rsi there
  Registers registers;   // of the thread, when wants_registers()
};

struct TraceOutput {
  std::string text;   // whole lines, maybe none
  bool stop = false;  // the program is to stay stopped
};

class Trace {
 public:
  // `words`: what follows `trace on`. Errors: usage, with the usage line.
  static Result<Trace> make(const std::vector<std::string>& words);
  ~Trace();
  Trace(Trace&&) noexcept;
  Trace& operator=(Trace&&) noexcept;

  // --stop or --bt was given: stop at event_hook(), not at pending_hook().
  bool per_event() const;
  bool wants_registers() const;  // --bt
  // Stop at each event although the options do not ask for it: a runtime without pending_hook().
  void use_event_hook();

  // Where the hook lies in a process whose symbols the host does not have. Errors: no_runtime, no_symbols.
  static Result<Address> find_hook(Session& session, const TraceHook& hook);
  // The process is another one than before: its rings are read from their start, and what was seen of the other is
  // forgotten.
  void restart();
  // What happened in this process so far is not part of the trace.
  void skip(Session& session);
  // What is new since the last call, as lines. At the event hook it is that one event. Errors: no_runtime,
  // unsupported_contract, memory_fault; what is only partly wrong is said in the text, once.
  Result<TraceOutput> collect(Session& session, const TraceStop& stop);
  // `trace show`: a table of what was seen, sizes over time, totals. `words`: its options. Exit code 2 for wrong ones.
  CommandResult show(const std::vector<std::string>& words, const CommandOptions& options, bool on) const;
  // `trace check --rules FILE`: what was seen against a file of rules (README, "Checks in CI"). Exit code 1 when some fail;
  // 2 for wrong options and rules that a live trace cannot answer; 3 when none fails, but events are missing. Each of these
  // has a line in err. `pid`: of the process, 0 unknown.
  CommandResult check(const std::vector<std::string>& words, const CommandOptions& options, std::uint64_t pid) const;

 private:
  struct State;
  explicit Trace(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace stacktide

// Commands: one table, four front ends (CLI, GDB, LLDB, Python).
//
// Concept. A Session holds one target for as long as it stands still: descriptor, snapshot, symbols and unwinder, each made
// on first use. A front end opens a Session per stop, calls run(), prints what comes back, and drops it. All text is made
// here, so the same words give the same output everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/result.h"
#include "stacktide/core/snapshot.h"
#include "stacktide/core/target.h"

namespace stacktide {

class Session {
 public:
  explicit Session(std::unique_ptr<Target> target);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  Target& target();
  // The walked target without frames. Fails with no_runtime, bad_descriptor or memory_fault when not even the descriptor
  // could be read.
  Result<Snapshot*> snapshot();
  // One goroutine by id; no_such_goroutine names the ids there are.
  Result<Goroutine*> goroutine(std::uint64_t id);
  // The goroutine that runs on this OS thread, or nullptr.
  Goroutine* goroutine_of_thread(std::uint64_t tid);
  // The goroutine that runs on this OS thread now, without registers; nothing when it runs none. Reads one M, one record and
  // its segments, however many goroutines there are, and keeps none of it: for a session that lives as long as the modules
  // do. (A runtime that exports no Ms is walked.) Errors: those of snapshot().
  Result<std::optional<Goroutine>> running_on(std::uint64_t tid);
  // The same goroutine as it is now, wherever it runs or waits; nothing when it has ended. As cheap. Errors: memory_fault.
  Result<std::optional<Goroutine>> reread(const Goroutine& goroutine);
  // How many goroutines there are now, by the runtime's own count where it exports one. Kept as little.
  Result<std::uint64_t> goroutine_count();
  // Unwinds; never fails as a whole. Caps at 10,000 frames.
  Backtrace backtrace(const Goroutine& goroutine);
  // Fills function, file, line, entry and created_* of the goroutine.
  void locate(Goroutine& goroutine);
  // "goroutine 7 [chan receive] entry": the name of a goroutine as a thread.
  std::string thread_name(Goroutine& goroutine);
  // The same where the entry is known, from another stop: it never changes, and finding it unwinds the whole stack.
  static std::string thread_name(const Goroutine& goroutine, const std::string& entry);
  // The symbolic location of a code address, innermost inlined function first; `exact`: not a return address.
  std::vector<Frame> symbolize(Address pc, bool exact);

  // The addresses of the empty functions that the runtime calls on each stack event, and when an event ring is half full
  // (trace.h); no_runtime or no_symbols.
  Result<Address> event_hook();
  Result<Address> pending_hook();
  // The line of `goroutine trace` for the event at this address, when the hook was called with this caller pc.
  // Reads only the event record, not the whole snapshot.
  Result<std::string> describe_event(Address event, Address caller_pc);

 private:
  struct State;
  std::unique_ptr<State> state_;
  friend struct SessionAccess;
};

enum class HostKind : std::uint8_t { cli, gdb, lldb, python };

struct CommandOptions {
  HostKind host = HostKind::cli;
  bool colour = false;
  bool terminal = false;                // a person reads: limits and folding apply
  std::uint32_t width = 0;              // columns, 0 unknown
  std::uint64_t current_thread = 0;     // OS thread id selected in the host, 0 none: marks its goroutine with '*'
  std::uint64_t current_goroutine = 0;  // goroutine selected in the host, 0 none: wins over current_thread
};

// Exit codes: 0 fine, 1 findings, 2 usage or unreadable target, 3 partial result, printed.
struct CommandResult {
  std::string out;
  std::string err;  // one line per problem, each ends with '\n'
  int exit_code = 0;
};

struct CommandInfo {
  std::string_view name;
  std::string_view arguments;  // "ID|all"
  std::string_view summary;    // one line
  std::string_view help;       // options and examples
};

// In the order that help shows.
std::span<const CommandInfo> commands();
// words[0] is a command of the table, the rest its arguments and options (--json, ...). `goroutine 7 stack` and `goroutine
// stack 7` are the host's business: it passes {"stack", "7"}.
CommandResult run(Session& session, const std::vector<std::string>& words, const CommandOptions& options);
// The text of `help` or `help COMMAND` for a host; how commands are written there differs ("goroutine list", "stacktide list
// --pid N").
CommandResult help(const std::vector<std::string>& words, HostKind host);
// Ways to go on from a partly typed command line, for completion: commands, options, goroutine ids.
std::vector<std::string> complete(Session* session, const std::vector<std::string>& words, std::string_view partial);

}  // namespace stacktide

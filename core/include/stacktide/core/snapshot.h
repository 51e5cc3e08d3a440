// The snapshot: what was found in the target, as plain values.
//
// Concept. The walker fills it once; analysis, views and front ends read nothing else. It holds no reference to the target
// and outlives the stop. Field names are those of runtime/abi/stacktide/abi.h, of JSON and of Python.
//
// Invariants. A thing that could not be read stays in its list, with its damage. Every list says how many entries there
// were, were read, and were skipped. What the runtime does not export is nothing, not 0. Sizes are bytes, times nanoseconds
// of the target's CLOCK_MONOTONIC.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/result.h"
#include "stacktide/core/target.h"

namespace stacktide {

struct Counts {
  std::uint64_t total = 0;
  std::uint64_t read = 0;
  std::uint64_t skipped = 0;
};

// What the stackguard0 slot says. corrupt: neither the guard nor a sentinel. unknown: the runtime does not export it.
enum class GuardState : std::uint8_t { armed, preempt, force_move, none, corrupt, unknown };
// As in JSON: "force_move". Static.
const char* guard_state_name(GuardState state);

// One stretch of a goroutine's stack. The first of a list is the current one.
struct Segment {
  Address lo = 0;
  Address hi = 0;
  Address sp = 0;          // where the goroutine is, or left it
  Address pc = 0;          // older segments: return address in the function that needed more
  std::string function{};  // of pc, and where; filled by locate()
  std::string file{};
  std::uint32_t line = 0;
  std::uint64_t size() const { return hi - lo; }
  std::uint64_t used() const { return sp >= lo && sp <= hi ? hi - sp : 0; }
};

struct Stack {
  Address lo = 0;  // of the current segment
  Address hi = 0;
  Address guard = 0;       // the true guard: lo + StackGuard; 0: unknown
  Address guard_slot = 0;  // what stackguard0 holds
  GuardState guard_state = GuardState::none;
  Address sp = 0;                        // 0: unknown
  std::uint64_t size = 0;                // over all segments
  std::uint64_t used = 0;                // over all segments
  std::optional<std::int64_t> headroom;  // sp - guard in the current segment; negative: below the guard
  std::optional<std::uint64_t> high_water = 0;
  std::vector<Segment> segments;
  Address pinned_pc = 0;
  std::string pinned_by;        // function of pinned_pc; "" when none
  std::string pinned_variable;  // of that function, that keeps it from moving; "" unknown, or the reason is another
  std::string pinned_type;      // of the variable, or the reason
  Address moving_from = 0;
  Address moving_to = 0;

  // Bytes in use between an address and the top of the goroutine's first segment, over all segments; nothing for one that is
  // on none of them. Copying a stack and linking a segment change addresses, not this. For a CFA: hi is on the segment, lo
  // is not.
  std::optional<std::uint64_t> depth(Address address) const;
};

// One level of a backtrace. Inlined functions are levels of their own, as in GDB and LLDB, innermost first; they share pc
// and cfa with the function that they were inlined into.
struct Frame {
  Address pc = 0;
  Address sp = 0;
  Address cfa = 0;
  std::uint64_t size = 0;              // cfa - sp
  std::optional<std::size_t> segment;  // of the goroutine's stack, by index; nothing: on its thread's stack
  bool inlined = false;
  bool exact_pc = false;     // pc is not a return address
  bool runtime = false;      // belongs to the runtime, not to the user
  std::string function;      // demangled; "" unknown
  std::string symbol;        // linkage name
  std::uint64_t offset = 0;  // pc - start of function
  std::string args;          // "n=3, name=..." as far as known
  std::string file;
  std::uint32_t line = 0;
  std::string module;
};

struct Backtrace {
  std::vector<Frame> frames;
  bool complete = false;    // reached the entry of the goroutine
  std::string stop_reason;  // why it ended, for people
};

struct Goroutine {
  std::uint64_t id = 0;
  Address address = 0;  // of the record
  std::string label;
  std::string status;  // Go's word; the text of the target's enumeration
  // Of a waiting goroutine, the text of the target's enumeration. Of one in a library call that lasts (status syscall) the
  // function's name; "" in blocking(), and when it does neither.
  std::string wait_reason;
  std::optional<std::int64_t> wait_ns;  // since when it waits, or the call is known to last
  Address wait_object = 0;              // channel or the like; of a library call the function
  bool system = false;
  bool locked = false;  // to its thread: lock_os_thread()
  std::uint64_t parent = 0;
  Address creation_pc = 0;
  Address entry_pc = 0;
  std::uint64_t m = 0;  // id of its M, valid when has_m
  bool has_m = false;
  std::uint64_t tid = 0;        // OS thread that it runs on, 0 when none
  Registers registers;          // where to start unwinding: saved context, or the thread's registers
  bool registers_live = false;  // they are a thread's
  Address caller_pc = 0;        // where the frame of the saved registers, the runtime's own, returns to; 0: not known
  Stack stack;
  std::optional<std::uint64_t> grows = 0;
  std::optional<std::uint64_t> links = 0;
  std::optional<std::uint64_t> shrinks = 0;
  std::optional<std::uint64_t> hot_splits = 0;
  std::optional<std::uint64_t> bytes_copied = 0;
  std::vector<Error> damage;

  // Filled by locate(): the innermost frame that is the user's, the outermost one, and who created it.
  std::string function;
  std::string file;
  std::uint32_t line = 0;
  std::string entry;
  std::string created_by;
  std::string created_file;
  std::uint32_t created_line = 0;
  bool located = false;
};

struct Machine {  // an M
  std::uint64_t id = 0;
  Address address = 0;
  std::uint64_t tid = 0;
  std::string status;
  std::uint64_t goroutine = 0;  // id, 0 none
  std::optional<std::uint64_t> p;
  std::string call;  // library function that its goroutine is in, without a P; "" none known
  Address stack_lo = 0;
  Address stack_hi = 0;
  std::uint64_t guard_size = 0;
  Address sp = 0;  // of the thread now, 0 unknown
  std::vector<Error> damage;
};

// A thread of the process, an M's or not. Stack and CPU are filled by `sched` and `runtime --layout`, where the system tells
// them.
struct OsThread {
  std::uint64_t tid = 0;
  std::string name;
  std::optional<std::uint64_t> m;  // id of its M
  Address sp = 0;                  // 0: unknown
  Address stack_lo = 0;            // both 0: unknown
  Address stack_hi = 0;
  std::uint64_t guard_size = 0;      // bytes below stack_lo that must not be touched
  std::optional<std::uint32_t> cpu;  // that it last ran on; cores do not record it
  std::optional<std::uint64_t> used() const {
    if (stack_lo >= stack_hi || sp < stack_lo || sp > stack_hi) return std::nullopt;
    return stack_hi - sp;
  }
};

struct Processor {  // a P
  std::uint64_t id = 0;
  Address address = 0;
  std::string status;
  std::optional<std::uint64_t> m;
  std::uint64_t run_next = 0;            // goroutine id, 0 none
  std::vector<std::uint64_t> run_queue;  // goroutine ids
  std::uint64_t ticks = 0;
  std::vector<Error> damage;
};

struct Scheduler {
  std::map<std::string, std::uint64_t> values;  // every number of the scheduler record, by name
  std::string policy;
  std::vector<std::uint64_t> global_queue;  // goroutine ids
  std::vector<Error> damage;
};

struct StackEvent {
  std::int64_t time = 0;
  std::uint64_t goroutine = 0;
  std::string kind;  // grow, shrink, link, release
  Address old_lo = 0;
  Address new_lo = 0;
  std::uint64_t old_size = 0;
  std::uint64_t new_size = 0;
  std::uint64_t used = 0;
  std::uint64_t adjusted = 0;
  std::uint64_t scanned = 0;  // of the adjusted words, those that no stack map spoke of
  std::uint64_t duration = 0;
  Address pc = 0;
  std::string function;  // of pc
  std::string file;
  std::uint32_t line = 0;
  std::uint64_t ring = 0;    // where it was found
  std::uint64_t number = 0;  // in that ring, counted from the start
  Address caller = 0;        // return address in the caller of the function at pc; 0 unknown
};

// The program's stack maps and what the runtime used them for (abi.h, type stack_maps).
struct StackMapsInfo {
  Address address = 0;  // of the block; 0 none
  std::uint64_t size = 0;
  std::string adjust;  // how words are chosen when a stack moves: maps, scan
  std::uint64_t walks = 0;
  std::uint64_t complete = 0;
  std::uint64_t frames = 0;
  std::uint64_t words_skipped = 0;
  std::uint64_t words_checked = 0;
  std::uint64_t words_scanned = 0;
  std::uint64_t lookalikes = 0;
};

// A boundary that calls crossed from one segment to another, over all goroutines. pc 0: all that found no place in the
// runtime's table.
struct HotSplit {
  Address pc = 0;               // return address in the function that needed more
  Address caller = 0;           // and in its caller
  std::uint64_t count = 0;      // links
  std::uint64_t allocated = 0;  // of these, those that had to allocate a segment
  std::uint64_t bytes = 0;      // most that the function asked for
  std::string function;         // of pc; filled by `history --splits`, as all below
  std::string file;
  std::uint32_t line = 0;
  std::string caller_function;
  std::string caller_file;
  std::uint32_t caller_line = 0;
};

struct Runtime {
  std::string version;
  std::string producer;  // where the descriptor came from: "note in /path/park"
  Address descriptor = 0;
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor = 0;
  std::map<std::string, std::int64_t> constants;
  std::map<std::string, std::uint32_t> contracts;
  std::vector<std::string> disabled;  // features off, and why
  std::map<std::string, std::uint64_t> type_sizes;
};

struct Snapshot {
  std::string target;  // Target::description
  TargetKind kind = TargetKind::process;
  std::uint64_t pid = 0;
  Runtime runtime;
  std::optional<std::int64_t> now;
  std::vector<Goroutine> goroutines;  // by id; free records are not in it
  Counts goroutine_counts;
  std::vector<Machine> ms;
  Counts m_counts;
  std::vector<Processor> ps;
  Counts p_counts;
  std::vector<OsThread> threads;  // of the process, the main thread first
  Scheduler scheduler;
  std::vector<StackEvent> events;           // by time
  Counts event_counts;                      // skipped: overwritten in a ring
  std::optional<StackMapsInfo> stack_maps;  // nothing: not exported, or not readable
  std::vector<HotSplit> hot_splits;         // most links first
  Counts hot_split_counts;                  // records of the runtime's table that are in use
  std::vector<std::string> damage;          // of the target as a whole

  Goroutine* find(std::uint64_t id);
};

}  // namespace stacktide

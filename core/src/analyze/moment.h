// One moment of a program, as far as it can be compared with another: its goroutines in groups of equal ones.
//
// Concept. Whoever reads a core, a list or a trace gives one goroutine after the other; of each only its id, its size and
// the number of its group is kept, so that a million fit. A reader groups as finely as it can (by the whole stack where
// there are frames); regroup() makes the groups coarser, so that two sources that know different things can be compared by
// what both know.
//
// Invariants. A group's key has no address in it: it is equal for equal goroutines of another run of the program. Sums over
// the groups are those of the goroutines.
//
// Rejected: comparing return addresses. They are equal only within one run, and only as long as no library is loaded anew.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "stacktide/core/snapshot.h"

namespace stacktide {

// What makes goroutines equal. stack: all frames, the entry and the state; place: function, line, entry and state, which is
// what a list knows; entry: the entry function alone; creation: that, and where it was created (of traces).
enum class Grouping : std::uint8_t { stack, place, entry, creation };
// As in JSON: "stack". Static.
const char* grouping_name(Grouping grouping);

// Where something is, for people and for comparing.
struct MomentPlace {
  std::string function;
  std::string file;
  std::uint32_t line = 0;
  bool operator==(const MomentPlace&) const = default;
};

struct Creator {
  MomentPlace place;
  std::uint64_t count = 0;  // members that were created there
};

// Of a trace: what its goroutines did until its end.
struct TraceNumbers {
  std::uint64_t spawned = 0;
  std::uint64_t exited = 0;
  std::uint64_t grows = 0;  // copies and links
  std::uint64_t bytes_copied = 0;
  std::uint64_t largest = 0;  // bytes of the largest stack
  void add(const TraceNumbers& other);
};

struct MomentGroup {
  std::string key;
  std::string state;  // "chan receive"; "" when groups are by entry
  MomentPlace place;  // of the innermost user function; of a trace, of the entry
  std::string entry;
  std::vector<MomentPlace> frames;  // innermost first; empty where they are not known
  std::vector<Creator> creators;    // most members first, once Moment::finish() has run
  std::uint64_t count = 0;          // of a trace: alive at its end
  std::uint64_t stack_bytes = 0;
  TraceNumbers trace;
};

struct MomentGoroutine {
  std::uint64_t id = 0;
  std::uint64_t size = 0;  // bytes of its stack
  std::uint32_t group = 0;
};

enum class MomentKind : std::uint8_t { core, list, trace };
// As in JSON: "core". Static.
const char* moment_kind_name(MomentKind kind);

struct Moment {
  std::string source;  // what was read, for people
  MomentKind kind = MomentKind::core;
  std::uint64_t pid = 0;  // 0: unknown
  Grouping grouping = Grouping::stack;
  std::vector<MomentGroup> groups;
  std::vector<MomentGoroutine> goroutines;  // by id, once finish() has run
  std::uint64_t stack_bytes = 0;
  std::vector<std::string> problems;  // what is missing from it, a line each

  std::uint64_t count() const;
  // Sorts, and sums up. Called once by the reader.
  void finish();
  // Coarser groups; `grouping` knows less than the present one does.
  void regroup(Grouping grouping);
};

// Finds or makes the group with this key.
class MomentGroups {
 public:
  explicit MomentGroups(Moment& moment) : moment_(moment) {}
  // `fresh`: the group was made, and has nothing but its key.
  std::uint32_t find(const std::string& key, bool& fresh);

 private:
  Moment& moment_;
  std::unordered_map<std::string, std::uint32_t> index_;
};

// The key of a group with these fields.
std::string key_of(const MomentGroup& group, Grouping grouping);
void add_creator(MomentGroup& group, const MomentPlace& place, std::uint64_t count);

}  // namespace stacktide

// What goroutines wait for, as the user of a debugger meets it: a handle in a variable, or an address.
//
// Concept. A handle (channel, mutex, wait_group) is one word, the address of a structure of the runtime's, whose layout the
// descriptor exports. So a printer needs the handle's type name and that word, and no debug info of the runtime; all text is
// made here, and both debuggers and the CLI say the same. A look costs a few reads and no walk over the goroutines, except
// for a goroutine itself, which is taken from the session's snapshot.
//
// Invariants. Locks may be held at the stop, and memory may be anything: every walk is capped, and what could not be read is
// said beside what could.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/command.h"
#include "stacktide/core/result.h"
#include "stacktide/core/target.h"

namespace stacktide {

// Who waits in one queue of an object, without those whose select has been decided elsewhere.
struct Waiting {
  std::uint64_t count = 0;                // by the queue's own length where the walk was cut
  std::vector<std::uint64_t> goroutines;  // ids of the first ones, in the order in which they are served
  std::string problem;                    // why not all of them were found, for people; "" otherwise
};

struct ObjectReport {
  std::string type;     // of abi.h's vocabulary: channel, mutex, wait_group, poll_descriptor, goroutine
  Address address = 0;  // of the runtime's structure; 0: a nil channel
  std::string text;     // "len 2 cap 8, 3 receivers waiting (goroutines 7, 9, 12)"
  // Channels.
  std::uint64_t length = 0;
  std::uint64_t capacity = 0;
  bool closed = false;
  std::vector<Address> values;  // where the words of the buffered values lie, oldest first, at most kMaxValues; a word is a
                                // small value itself, or its address (abi.h)
  Waiting receivers;
  Waiting senders;
  // Mutexes and wait groups.
  bool locked = false;
  std::int64_t count = 0;
  Waiting waiters;
  std::uint64_t goroutine = 0;  // id of a goroutine
  std::int64_t fd = 0;          // of a poll_descriptor
};

inline constexpr std::uint64_t kMaxValues = 4096;

// The structure at `address`. Errors: those of finding a descriptor; not_supported when the runtime exports no such type;
// memory_fault; damaged_data when what is there cannot be such a structure.
Result<ObjectReport> read_object(Session& session, std::string_view type, Address address);

// Is a C++ type, as a debugger spells it, one of a handle or of the runtime's structure behind one?
// "stacktide::channel<int>" is
// {"channel<int>", "channel"}, "stacktide::runtime::Goroutine" {"goroutine", "goroutine"}. Qualifiers must be gone.
struct HandleType {
  std::string label;       // as it is shown
  std::string object;      // type of read_object()
  bool is_object = false;  // the structure itself, and no handle to it
};
std::optional<HandleType> handle_type(std::string_view type_name);

// One line of a handle whose word is `address`, or of the structure there: "channel<int> len 2 cap 8", "mutex locked, 1
// waiting (goroutine 4)"; what is wrong, when it cannot be read. Never fails.
std::string describe_handle(Session& session, const HandleType& type, Address address);
// The same of a `once`, which is a flag and a mutex: "once done", "once being done, 1 waiting (goroutine 4)".
std::string describe_once(Session& session, bool done, Address mutex);

}  // namespace stacktide

// A small fiber library that knows nothing of stacktide: cooperative fibers on one thread, over ucontext, each on a stack of
// fixed size with a guard page below it.
//
// Concept. run() runs fibers on the calling thread until none is left. A fiber keeps the thread until it yields, waits
// on an event or returns. Records lie in one table and are used again; a record with id 0 is free.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace fibers {

inline constexpr std::size_t kStack = 64 * 1024;
inline constexpr std::size_t kFibers = 64;

enum class State : std::uint8_t { ready, running, waiting };
enum class Wait : std::uint8_t { none, event, join };

struct Fiber {
  std::uint64_t id;
  char name[16];
  State state;
  Wait wait;      // why it waits
  const void* object;  // what it waits for: an event, or the Fiber that is to end
  char* stack;         // lowest address; the guard page is below
  char* stack_end;
  void (*entry)(void*);
  void* argument;
  ucontext_t context;  // valid unless it is running
};

// Something that fibers wait for; it happens once.
struct Event {
  bool happened = false;
};

// Makes a fiber that run() will start; nullptr when there are kFibers of them already. `name` is cut after 15 bytes.
Fiber* start(const char* name, void (*entry)(void*), void* argument);
// Runs until no fiber is left. False when the rest of them wait for one another.
bool run();

// The rest is called by fibers.
void yield();
void wait(Event& event);
void signal(Event& event);
// Returns when the fiber with that record and id has ended.
void join(const Fiber* fiber, std::uint64_t id);

}  // namespace fibers

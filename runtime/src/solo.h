// With one P, what goroutines share needs no locked instructions.
//
// Concept. With one P (STACKTIDE_MAXPROCS=1) all goroutines run on one thread at a time, its owner, and almost nobody else
// touches a channel, a mutex or a counter. Almost: code that library code calls back, blocking(), threads that a program
// starts by itself. So the owner only says that it is inside, with a plain store, and looks whether there are others. Those
// say that they are there, make that visible by a barrier in every thread of the process (membarrier), and wait until the
// owner is outside. While there are others, the owner does as with many Ps.
//   owner                         another thread
//   store inside                  add to others
//   load others                   membarrier
//                                 load inside until it is 0
// Either the owner sees them, or they see it inside. A locked instruction takes the time of twenty others, and a send that
// finds its receiver waiting had two; others pay a microsecond or two.
//
// Invariants. Sections nest (select takes several locks); they are the runtime's own code, a few dozen instructions, and no
// goroutine parks in one before it is left. The P changes its owner outside of them, under scheduler.lock or by a wake-up.
//
// Rejected: to do without locks when the program has one thread (as std::shared_ptr does): the monitor is one more, always.
#pragma once

#include <atomic>
#include <cstdint>

#include "process_barrier.h"
#include "scheduler.h"

namespace stacktide::runtime {

class Solo {
 public:
  // Once, at start, if there is one P. Without membarrier it stays off.
  static void turn_on();
  static bool on() { return state.on; }

  // By a thread before it touches what is shared. True: nobody else is about, until leave(). False: use locked
  // instructions, and then done_outside().
  static bool enter() {
    if (own_p() == nullptr) [[unlikely]] {
      come();
      return false;
    }
    state.inside.store(state.inside.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    // The others' membarrier makes this order hold in the machine too.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (state.others.load(std::memory_order_acquire) == 0) [[likely]]
      return true;
    leave();
    return false;
  }
  static void leave() { state.inside.store(state.inside.load(std::memory_order_relaxed) - 1, std::memory_order_release); }
  static void done_outside() {
    if (stacktide_thread.outside != 0) [[unlikely]]
      go();
  }

  // By a thread without a P, around many sections: they cost one barrier together.
  class Visit {
   public:
    Visit() : counted_(on() && own_p() == nullptr) {
      if (counted_) come();
    }
    ~Visit() {
      if (counted_) go();
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    bool counted_;
  };

 private:
  static void come();
  static void go();

  struct State {
    bool on;
    std::atomic<std::uint32_t> inside;  // sections that the owner is in
    std::atomic<std::uint32_t> others;  // threads without a P that are in one, or about to be; ThreadState::outside says which
  };
  static State state;
};

// A section for a few counters.
class SoloSection {
 public:
  SoloSection() : alone_(Solo::on() && Solo::enter()) {}
  ~SoloSection() {
    if (alone_) Solo::leave();
    else if (Solo::on()) Solo::done_outside();
  }
  SoloSection(const SoloSection&) = delete;
  SoloSection& operator=(const SoloSection&) = delete;

  // Adds to a counter that is changed in such sections alone; what it was before.
  template <class Number>
  Number add(std::atomic<Number>& counter, Number n) const {
    if (!alone_) return counter.fetch_add(n, std::memory_order_seq_cst);
    const Number before = counter.load(std::memory_order_relaxed);
    counter.store(before + n, std::memory_order_relaxed);
    return before;
  }

 private:
  bool alone_;
};

}  // namespace stacktide::runtime

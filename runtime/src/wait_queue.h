// Waiters, and the queues of those who wait for something.
//
// Concept. A goroutine that waits is represented by a Waiter, which never lies on a stack: stacks move and shrink while
// others work on the queue. A plain wait uses the one in the goroutine's Private; a select that waits has one for each of
// its cases, in a record of its own (select.cpp).
//
// Invariants. A waiter is in at most one queue; it and the queue's links change under the lock of what is waited for, and
// only then. The waiters of a select share a flag, `decided`: whoever sets it, by exchange, decides the select, and nobody
// else may. A queue may therefore hold waiters whose select was decided elsewhere a moment ago: take() drops them, and their
// goroutine takes out the others itself (stacktide_select_finish) before it returns to its caller.
//
// Rejected: that the waker takes the losing waiters out of the other queues. It holds the lock of one channel and would need
// those of the others, against the order in which a select takes them. Rejected too: to leave them there. A channel that
// only tells the program to end would collect one for each turn of a loop that selects on it.
#pragma once

#include <atomic>
#include <cstdint>

namespace stacktide::runtime {

struct Goroutine;

struct Waiter {
  Goroutine* goroutine;
  std::uint64_t value;         // of a sender: what it sends; of who waits for a mutex: since when
  std::uint64_t outcome;       // what the wait returns as its second word, less the bit for ok (detail::select_outcome)
  std::atomic<bool>* decided;  // the select's; nullptr: a plain wait, decided by being taken
  Waiter* previous;
  Waiter* next;
  bool queued;
};

// First in, first out. The members are public for the descriptor, which exports them; write them by the functions only.
struct WaitQueue {
  Waiter* first = nullptr;
  Waiter* last = nullptr;
  std::uint64_t length = 0;

  bool empty() const { return first == nullptr; }

  void put(Waiter& w) { insert(w, last, nullptr); }
  // Before all others: who was woken in vain goes back to its place.
  void put_first(Waiter& w) { insert(w, nullptr, first); }
  void remove(Waiter& w) {
    (w.previous != nullptr ? w.previous->next : first) = w.next;
    (w.next != nullptr ? w.next->previous : last) = w.previous;
    w.previous = w.next = nullptr;
    w.queued = false;
    --length;
  }
  // The first one whose wait is not decided yet, and is now: the caller must wake() it. nullptr: there is none.
  Waiter* take() {
    while (Waiter* w = first) {
      remove(*w);
      // Pairs with the other exchanges of this flag: each select has one winner. What the winner writes reaches the
      // goroutine by ready().
      if (w->decided == nullptr || !w->decided->exchange(true, std::memory_order_acq_rel)) return w;
    }
    return nullptr;
  }

 private:
  void insert(Waiter& w, Waiter* previous, Waiter* next) {
    w.previous = previous;
    w.next = next;
    (previous != nullptr ? previous->next : first) = &w;
    (next != nullptr ? next->previous : last) = &w;
    w.queued = true;
    ++length;
  }
};

// The plain waiter of a goroutine that has called begin_park(), with nothing left in it of an earlier wait.
Waiter& plain_waiter(Goroutine& g);
// Ends the wait of a waiter that take() gave: the goroutine's runtime call returns (value, outcome with ok). Under the lock
// of the queue; after that lock is released the waiter belongs to its goroutine again.
void wake(Waiter& w, std::uint64_t value, bool ok);

}  // namespace stacktide::runtime

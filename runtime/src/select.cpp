// select: waits until one of several sends and receives can proceed.
//
// Concept, as Go's selectgo. All channels are locked, in the order of their addresses. If a case can proceed, one such is
// chosen, each as likely as the others, and that is all. Else the goroutine becomes a waiter of every channel, and of the
// timers if there is a timeout; whoever decides the select first (wait_queue.h) hands over value and outcome by ready(). The
// losing waiters are still in their queues then. A runtime call has no second half after it parked, so the caller calls
// stacktide_select_finish with the outcome: it takes them out, cancels the timer and frees the record. It locks one channel
// after the other: nothing can be decided any more. Having held each lock once, it knows that nobody still looks at the
// record: wakers do so under a channel's or the timers' lock only.
//
// The cases lie on the caller's stack, which may move as soon as the goroutine parks: all that is needed later is copied to
// the record before.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <new>
#include <utility>

#include "channel_core.h"
#include "fatal.h"
#include "scheduler.h"
#include "timers.h"

namespace stacktide::runtime {

// One case of a select that waits.
struct Branch {
  Waiter waiter;
  Channel* channel;
  bool sends;
};

// A select that waits; its branches follow it in memory. From malloc, owned by its goroutine (Private::select).
struct Select {
  std::atomic<bool> decided;
  Timer timer;
  std::size_t count;

  Branch* begin() { return reinterpret_cast<Branch*>(this + 1); }
  Branch* end() { return begin() + count; }
};
static_assert(sizeof(Select) % alignof(Branch) == 0);

namespace {

using Case = detail::select_case;
using Kind = detail::select_kind;
using Outcome = detail::select_outcome;
using Two = detail::two_words;

Channel* channel_of(const Case& c) { return static_cast<Channel*>(c.channel); }
bool has_channel(const Case& c) { return (c.kind == Kind::send || c.kind == Kind::receive) && c.channel != nullptr; }

// The cases that name a channel, in two orders. Small ones need no allocation.
class Orders {
 public:
  Orders(const Case* cases, std::size_t n) {
    if (n > kSmall) {
      large_ = static_cast<Place*>(std::malloc(n * sizeof(Place)));
      if (large_ == nullptr) fatal("out of memory for a select");
      places_ = large_;
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (has_channel(cases[i])) places_[count_++] = {channel_of(cases[i]), i};
    }
  }
  ~Orders() { std::free(large_); }
  Orders(const Orders&) = delete;
  Orders& operator=(const Orders&) = delete;

  struct Place {
    Channel* channel;
    std::size_t index;
  };
  Place* begin() { return places_; }
  Place* end() { return places_ + count_; }
  std::size_t count() const { return count_; }

  void shuffle() {
    for (std::size_t i = count_; i > 1; --i) std::swap(places_[i - 1], places_[random_below(i)]);
  }
  // Calls visit(Channel&) once for each channel, in the order of their addresses.
  template <class Visit>
  void each_channel(Visit visit) {
    std::sort(begin(), end(), [](const Place& a, const Place& b) { return std::less<>()(a.channel, b.channel); });
    const Channel* last = nullptr;
    for (const Place& place : *this) {
      if (place.channel != std::exchange(last, place.channel)) visit(*place.channel);
    }
  }

 private:
  // Which of the ready cases goes first. Each thread has its own sequence; it need not be unpredictable, only even.
  static std::size_t random_below(std::size_t n) {
    static thread_local constinit std::uint64_t state = 0;
    if (state == 0) state = static_cast<std::uint64_t>(clock_now()) ^ reinterpret_cast<std::uint64_t>(&state);
    state += 0x9e3779b97f4a7c15;  // splitmix64
    std::uint64_t x = state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return (x ^ (x >> 31)) % n;
  }

  static constexpr std::size_t kSmall = 16;
  Place small_[kSmall];
  Place* large_ = nullptr;
  Place* places_ = small_;
  std::size_t count_ = 0;
};

Two answer(std::uint64_t value, std::size_t index, bool ok) {
  return {value, Outcome::of(index, false) | (ok ? Outcome::kOk : 0)};
}

Select* make_record(Goroutine* g, const Case* cases, Orders& order) {
  auto* record = static_cast<Select*>(std::malloc(sizeof(Select) + order.count() * sizeof(Branch)));
  if (record == nullptr) fatal("out of memory for a select");
  new (record) Select{.decided = false, .timer = {}, .count = 0};
  for (const Orders::Place& place : order) {
    const Case& c = cases[place.index];
    new (record->begin() + record->count++) Branch{.waiter = {.goroutine = g,
                                                              .value = c.word,
                                                              .outcome = Outcome::of(place.index, true),
                                                              .decided = &record->decided,
                                                              .previous = nullptr,
                                                              .next = nullptr,
                                                              .queued = false},
                                                   .channel = place.channel,
                                                   .sends = c.kind == Kind::send};
  }
  return record;
}

// What the cases ask for besides channels.
struct Extras {
  std::size_t otherwise = SIZE_MAX;  // index, SIZE_MAX: there is none
  std::size_t after = SIZE_MAX;      // the earliest of them
};

Extras find_extras(const Case* cases, std::size_t n) {
  Extras found;
  for (std::size_t i = 0; i < n; ++i) {
    if (cases[i].kind == Kind::otherwise) found.otherwise = i;
    if (cases[i].kind != Kind::after) continue;
    const auto when = static_cast<std::int64_t>(cases[i].word);
    if (found.after == SIZE_MAX || when < static_cast<std::int64_t>(cases[found.after].word)) found.after = i;
  }
  return found;
}

// Under all locks: does one of the cases without waiting.
bool select_now(const Case* cases, Orders& order, Two& out) {
  order.shuffle();
  for (const Orders::Place& place : order) {
    const Case& c = cases[place.index];
    if (c.kind == Kind::send) {
      if (!send_now(*place.channel, c.word)) continue;
      out = answer(0, place.index, true);
    } else {
      Two got{};
      if (!receive_now(*place.channel, got)) continue;
      out = answer(got.first, place.index, got.second != 0);
    }
    return true;
  }
  return false;
}

}  // namespace

extern "C" {

// Returns the value received and a detail::select_outcome.
Two stacktide_select_impl(const Case* cases, std::uint64_t n) {
  const Extras extras = find_extras(cases, n);
  Orders order(cases, n);
  order.each_channel([](Channel& c) { c.lock.lock(); });
  const auto unlock = [&] { order.each_channel([](Channel& c) { c.lock.unlock(); }); };
  Two out{};
  if (select_now(cases, order, out)) {
    unlock();
    return out;
  }
  const std::int64_t when = extras.after == SIZE_MAX ? 0 : static_cast<std::int64_t>(cases[extras.after].word);
  if (extras.otherwise != SIZE_MAX || (extras.after != SIZE_MAX && when <= clock_now())) {
    unlock();
    return answer(0, extras.otherwise != SIZE_MAX ? extras.otherwise : extras.after, false);
  }
  Goroutine* g = parking_goroutine("select()");
  Select* record = make_record(g, cases, order);
  g->own->select = record;
  begin_park(g, status_waiting, n == 0 ? wait_reason_select_no_cases : wait_reason_select, n == 0 ? nullptr : record);
  for (Branch& branch : *record) (branch.sends ? branch.channel->senders : branch.channel->receivers).put(branch.waiter);
  if (extras.after != SIZE_MAX) {
    // Last: with no channel locked, the goroutine may be through with the record at once.
    record->timer = {.goroutine = g, .outcome = Outcome::of(extras.after, true), .decided = &record->decided, .place = 0};
    add_timer(record->timer, when);
  }
  unlock();
  return {};
}

// After a select that waited, as its outcome says.
void stacktide_select_finish_impl(std::uint64_t outcome) {
  Goroutine* g = stacktide_thread.goroutine;
  Select* record = std::exchange(g->own->select, nullptr);
  if (record->timer.goroutine != nullptr) cancel_timer(record->timer);
  bool closed = false;
  for (Branch& branch : *record) {
    std::lock_guard guard(branch.channel->lock);
    if (branch.waiter.queued) (branch.sends ? branch.channel->senders : branch.channel->receivers).remove(branch.waiter);
    if (branch.sends && (branch.waiter.outcome | Outcome::kOk) == (outcome | Outcome::kOk))
      closed = (outcome & Outcome::kOk) == 0;
  }
  std::free(record);
  if (closed) fatal_send_on_closed();
}

}  // extern "C"

}  // namespace stacktide::runtime

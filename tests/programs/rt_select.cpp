// select: each kind of clause, what is chosen, what is left behind; with goroutines whose stacks end at every place of the test.
#include <stacktide/select.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "rt_support.h"

namespace {

using namespace std::chrono_literals;
using stacktide::after;
using stacktide::channel;
using stacktide::go;
using stacktide::on_recv;
using stacktide::on_send;
using stacktide::on_send_from;
using stacktide::otherwise;
using stacktide::select;
using stacktide::wait_group;

const char* const kLong = "a text that is too long to fit in place";

template <class Condition>
void yield_until(Condition condition) {
  while (!condition()) stacktide::yield();
}

void at_once() {
  auto full = channel<int>::make(1);
  auto empty = channel<int>::make(1);
  auto closed = channel<std::string>::make();
  full.send(5);
  closed.close();
  int seen = 0;
  RT_CHECK(select(on_recv(empty), on_recv(full, [&](std::optional<int> v) { seen = v.value(); }), after(1h)) == 1 && seen == 5);
  RT_CHECK(select(on_recv(full), on_send(empty, 6, [&] { seen = 7; }), otherwise()) == 1 && seen == 7);
  std::optional<int> got;
  RT_CHECK(select(on_recv(empty, got)) == 0 && got == 6);
  bool nothing = false;
  RT_CHECK(select(on_recv(closed, [&](std::optional<std::string> v) { nothing = !v.has_value(); }), on_recv(full)) == 0 && nothing);
  RT_CHECK(select(on_recv(full), on_recv(empty), otherwise([&] { seen = 8; })) == 2 && seen == 8);
  // A handle to no channel is never ready.
  RT_CHECK(select(on_recv(channel<int>()), on_send(channel<int>(), 1), otherwise()) == 2);
  RT_CHECK(select(otherwise(), after(0s)) == 0);
  RT_CHECK(select(on_recv(full), after(-1s)) == 1 && select(after(2h), on_recv(channel<int>()), after(1us)) == 2);
}

// Each of those that can proceed is chosen sometimes.
void even_choice() {
  auto a = channel<int>::make(1);
  auto b = channel<int>::make(1);
  int chosen[3] = {};
  for (int i = 0; i < 300; ++i) {
    a.try_send(1);
    ++chosen[select(on_recv(a), on_recv(a), on_send(b, 1))];
    b.try_recv();
  }
  for (const int times : chosen) RT_CHECK(times > 40);
}

// Whichever side comes first, waiting or not.
void meets_plain() {
  auto a = channel<std::string>::make();
  auto b = channel<std::string>::make();
  for (int i = 0; i < 6; ++i) {
    auto& used = i % 2 == 0 ? a : b;
    go([=] {
      if (i % 3 == 0) stacktide::yield();
      used.send(kLong + std::to_string(i));
    });
    if (i % 3 == 1) yield_until([&] { return used.waiting() == 1; });
    std::string text;
    const std::size_t n = select(on_recv(a, [&](std::optional<std::string> v) { text = v.value(); }),
                                 on_recv(b, [&](std::optional<std::string> v) { text = v.value(); }), after(1h));
    RT_CHECK(n == static_cast<std::size_t>(i % 2) && text == kLong + std::to_string(i));
    RT_CHECK(a.waiting() == 0 && b.waiting() == 0);
    go([=] {
      if (i % 3 == 0) stacktide::yield();
      RT_CHECK(used.recv() == kLong + std::to_string(-i));
    });
    if (i % 3 == 1) yield_until([&] { return used.waiting() == 1; });
    RT_CHECK(select(on_send(a, kLong + std::to_string(-i)), on_recv(i % 2 == 0 ? b : a), on_send(b, kLong + std::to_string(-i))) ==
             (i % 2 == 0 ? 0U : 2U));
    RT_CHECK(a.waiting() == 0 && b.waiting() == 0);
  }
}

// A sender and a receiver of one channel in one select do not meet each other, but somebody else meets one of them.
void same_channel_twice() {
  auto c = channel<int>::make();
  RT_CHECK(select(on_send(c, 1), on_recv(c), on_recv(c), after(1us)) == 3 && c.waiting() == 0);
  go([=] { RT_CHECK(c.recv() == 2); });
  RT_CHECK(select(on_send(c, 2), on_recv(c)) == 0);
  go([=] { c.send(3); });
  std::optional<int> got;
  RT_CHECK(select(on_send(c, 4), on_recv(c, got), on_recv(c, got)) != 0 && got == 3 && c.waiting() == 0);
}

// Both sides select, on two channels and in both directions at once: each value arrives once, at the other side.
void both_select() {
  constexpr int kRounds = 40;
  auto a = channel<std::unique_ptr<int>>::make();
  auto b = channel<std::unique_ptr<int>>::make();
  auto sent = std::make_shared<std::atomic<int>>(0);
  auto received = std::make_shared<std::atomic<int>>(0);
  wait_group finished;
  finished.add(4);
  for (int side = 0; side < 4; ++side) {
    go([=] {
      auto mine = std::make_unique<int>(1 << (8 * side));
      // An odd one out at the end waits for somebody: a timeout ends it.
      for (int idle = 0; idle < kRounds;) {
        const auto take = [&](std::optional<std::unique_ptr<int>> v) { *received += **v; };
        const auto chosen = select(on_recv(a, take), on_send_from(b, mine, [&] { *sent += 1 << (8 * side); }), on_recv(b, take),
                                   on_send(a, std::make_unique<int>(1), [&] { ++*sent; }), after(100us));
        if (chosen == 1) {
          RT_CHECK(mine == nullptr);
          mine = std::make_unique<int>(1 << (8 * side));
        }
        RT_CHECK(mine != nullptr && *mine == 1 << (8 * side));
        idle += chosen == 4 ? 10 : 1;
      }
      finished.done();
    });
  }
  finished.wait();
  RT_CHECK(*sent == *received && a.waiting() == 0 && b.waiting() == 0);
}

// A channel closes under those who wait.
void closed_meanwhile() {
  auto work = channel<int>::make();
  auto quit = channel<int>::make();
  wait_group finished;
  finished.add(5);
  for (int i = 0; i < 5; ++i) {
    go([=] {
      bool open = true;
      RT_CHECK(select(on_recv(work), on_recv(quit, [&](std::optional<int> v) { open = v.has_value(); }), after(1h)) == 1 && !open);
      finished.done();
    });
  }
  yield_until([&] { return work.waiting() == 5; });
  quit.close();
  finished.wait();
  RT_CHECK(work.waiting() == 0 && quit.waiting() == 0);
}

// What was not sent is there again, or gone with the clause; a plain try_send keeps it too.
void given_back() {
  auto never = channel<std::string>::make();
  auto tokens = channel<std::shared_ptr<int>>::make();
  std::string text = kLong;
  const std::string fixed = kLong;
  auto token = std::make_shared<int>(3);
  bool early = true;
  RT_CHECK(select(on_send_from(never, text), on_send(never, fixed), on_send(never, kLong), on_send(tokens, token),
                  after(1us, [&] { early = text != kLong; })) == 4);
  RT_CHECK(!early && text == kLong && fixed == kLong && token.use_count() == 1);
  RT_CHECK(!never.try_send(std::move(text)) && text == kLong && !tokens.try_send(token) && token.use_count() == 1);
}

struct Unlucky {
  Unlucky() = default;
  Unlucky& operator=(const Unlucky&) = default;
  Unlucky(const Unlucky&) { throw std::runtime_error("cannot be copied"); }
};

// Exceptions: out of the function of the clause chosen, and while the clauses are being made.
void exceptions() {
  auto c = channel<int>::make(1);
  auto tokens = channel<std::shared_ptr<int>>::make();
  auto unlucky = channel<Unlucky>::make();
  auto token = std::make_shared<int>(3);
  for (int i = 0; i < 2; ++i) {
    bool caught = false;
    try {
      if (i == 0) {
        select(on_send(tokens, token), on_send(c, 1, [] { throw std::runtime_error("no"); }));
      } else {
        const Unlucky value;
        select(on_send(tokens, token), on_send(unlucky, value));
      }
    } catch (const std::runtime_error&) {
      caught = true;
    }
    RT_CHECK(caught && token.use_count() == 1 && tokens.waiting() == 0);
  }
  RT_CHECK(c.try_recv() == 1);
}

// A function may select again, and wait.
void nested() {
  auto a = channel<int>::make(1);
  auto b = channel<int>::make();
  a.send(1);
  go([=] {
    yield_until([&] { return b.waiting() == 1; });
    b.send(2);
  });
  int sum = 0;
  select(on_recv(a, [&](std::optional<int> v) { select(on_recv(b, [&](std::optional<int> w) { sum = *v + *w; })); }));
  RT_CHECK(sum == 3);
}

// More clauses than are kept in place.
void many_clauses() {
  channel<int> c[5];
  for (auto& one : c) one = channel<int>::make();
  go([=] { c[3].send(9); });
  int sum = 0;
  const auto add = [&](std::optional<int> v) { sum += *v; };
  const auto n = select(on_recv(c[4], add), on_recv(c[0], add), on_send(c[1], 1), on_recv(c[2], add), on_recv(c[0], add), on_recv(c[4], add),
                        on_recv(c[0], add), on_send(c[1], 1), on_recv(c[2], add), on_recv(c[0], add), on_recv(c[4], add), on_recv(c[0], add),
                        on_send(c[1], 1), on_recv(c[2], add), on_recv(c[0], add), on_recv(c[4], add), on_recv(c[0], add), on_send(c[1], 1),
                        on_recv(c[2], add), on_recv(c[3], add));
  RT_CHECK(n == 19 && sum == 9);
  for (const auto& one : c) RT_CHECK(one.waiting() == 0);
}

// Timeouts run against sends that come at about the same time; nothing is lost or doubled.
void timeouts_race() {
  constexpr int kValues = 40;
  auto c = channel<int>::make();
  go([=] {
    int i = 0;
    for (int turn = 0; i < kValues; ++turn) {
      // Long enough now and then, or the two would never meet on a slow machine.
      const auto patience = turn % 4 == 3 ? std::chrono::microseconds(100'000) : std::chrono::microseconds(turn % 5 * 20);
      select(on_send(c, i, [&] { ++i; }), after(patience));
    }
    c.close();
  });
  int next = 0;
  for (bool open = true; open;) {
    const auto start = std::chrono::steady_clock::now();
    const auto patience = std::chrono::microseconds(next % 3 * 30);
    select(on_recv(c,
                   [&](std::optional<int> v) {
                     open = v.has_value();
                     if (open) RT_CHECK(*v == next++);
                   }),
           after(patience, [&] {
             RT_CHECK(std::chrono::steady_clock::now() - start >= patience);
             stacktide::yield();
           }));
  }
  RT_CHECK(next == kValues && c.waiting() == 0);
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"at_once", at_once},
                        {"even_choice", even_choice},
                        {"meets_plain", meets_plain},
                        {"same_channel_twice", same_channel_twice},
                        {"both_select", both_select},
                        {"closed_meanwhile", closed_meanwhile},
                        {"given_back", given_back},
                        {"exceptions", exceptions},
                        {"nested", nested},
                        {"many_clauses", many_clauses},
                        {"timeouts_race", timeouts_race}});
}

// Stress of everything that waits: channels (buffered or not, closed, ranged over, of values that own memory), wait groups,
// sleep_for, yield, blocking, go from goroutines, labels, stacks shrunk by others while they are woken. Nothing is lost,
// nothing is left over.
//
//   rt_channels [ROUNDS [TEST...]]
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rt_support.h"

namespace {

using namespace std::chrono_literals;
using stacktide::channel;
using stacktide::go;
using stacktide::wait_group;

std::atomic<long> live_values = 0;

// Not trivial, not small, counted.
struct Value {
  explicit Value(long n) : number(n), text("value " + std::to_string(n) + " too long to fit in place") { ++live_values; }
  Value(Value&& other) noexcept : number(other.number), text(std::move(other.text)) { ++live_values; }
  Value& operator=(Value&& other) noexcept = default;
  ~Value() { --live_values; }
  long number;
  std::string text;
};

// Many senders, many receivers; each value arrives once.
void many_to_many(std::size_t capacity) {
  constexpr int kSenders = 8;
  constexpr int kEach = 60;
  auto values = channel<Value>::make(capacity);
  auto sums = channel<long>::make();
  wait_group senders;
  senders.add(kSenders);
  for (int s = 0; s < kSenders; ++s) {
    go([=]() mutable {
      for (int i = 0; i < kEach; ++i) values.send(Value(s * kEach + i));
      senders.done();
    });
  }
  for (int r = 0; r < 5; ++r) {
    go([=]() mutable {
      long sum = 0;
      for (Value& value : values) {
        RT_CHECK(value.text == "value " + std::to_string(value.number) + " too long to fit in place");
        sum += value.number;
      }
      sums.send(sum);
    });
  }
  senders.wait();
  values.close();
  long total = 0;
  for (int r = 0; r < 5; ++r) total += sums.recv().value();
  const long n = kSenders * kEach;
  RT_CHECK(total == n * (n - 1) / 2 && values.size() == 0 && !values.recv().has_value());
}

void unbuffered() { many_to_many(0); }
void buffered() {
  many_to_many(1);
  many_to_many(7);
  many_to_many(1000);
}

// Values that nobody takes are freed with the channel.
void left_inside() {
  auto values = channel<std::unique_ptr<Value>>::make(10);
  for (int i = 0; i < 10; ++i) RT_CHECK(values.try_send(std::make_unique<Value>(i)));
  RT_CHECK(!values.try_send(std::make_unique<Value>(99)) && values.size() == 10 && values.capacity() == 10);
  RT_CHECK((*values.try_recv())->number == 0 && values.recv().value()->number == 1);
  auto empty = channel<Value>::make(2);
  RT_CHECK(!empty.try_recv().has_value());
  empty.close();
  RT_CHECK(!empty.try_recv().has_value() && !empty.recv().has_value());
}

// Closing wakes all receivers.
void close_wakes() {
  auto gate = channel<int>::make();
  wait_group finished;
  finished.add(20);
  for (int i = 0; i < 20; ++i) {
    go([=]() mutable {
      RT_CHECK(!gate.recv().has_value());
      finished.done();
    });
  }
  if (stacktide::goroutine_id() % 2 == 0) stacktide::yield();
  gate.close();
  finished.wait();
}

// A pair that talks only to each other, and others beside it that must get their turn.
void fairness() {
  auto ping = channel<int>::make();
  auto pong = channel<int>::make();
  auto stop = std::make_shared<std::atomic<bool>>(false);
  go([=]() mutable {
    for (int i : ping) pong.send(i);
    pong.close();
  });
  go([=]() mutable {
    while (!stop->load()) {
      ping.send(1);
      pong.recv();
    }
    ping.close();
  });
  wait_group others;
  others.add(4);
  for (int i = 0; i < 4; ++i) {
    go([=]() mutable {
      for (int j = 0; j < 5; ++j) stacktide::yield();
      others.done();
    });
  }
  others.wait();
  stop->store(true);
  RT_CHECK(!pong.recv().has_value() || true);
}

[[gnu::noinline]] long tree(int depth) {
  if (depth == 0) return 1;
  auto results = channel<long>::make();
  for (int i = 0; i < 3; ++i) go([=]() mutable { results.send(tree(depth - 1)); });
  return results.recv().value() + results.recv().value() + results.recv().value();
}

void goroutines_from_goroutines() { RT_CHECK(tree(5) == 243); }

void sleepers() {
  wait_group finished;
  finished.add(30);
  for (int i = 0; i < 30; ++i) {
    go([=]() mutable {
      const auto start = std::chrono::steady_clock::now();
      const auto wanted = std::chrono::microseconds(i * 37 % 400);
      stacktide::sleep_for(wanted);
      RT_CHECK(std::chrono::steady_clock::now() - start >= wanted);
      finished.done();
    });
  }
  finished.wait();
  stacktide::sleep_for(0s);
  stacktide::sleep_for(-1s);
  stacktide::sleep_for(std::chrono::hours::min());
  go([] {
    stacktide::sleep_for(std::chrono::hours::max());
    rt::fail(__FILE__, __LINE__, "for ever is over");
  });
}

// More goroutines block at a time than there are Ps, and a channel goes on working meanwhile.
void many_blocking() {
  constexpr int kBlocking = 24;
  auto inside = std::make_shared<std::atomic<int>>(0);
  auto release = std::make_shared<std::atomic<bool>>(false);
  auto results = channel<std::string>::make();
  for (int i = 0; i < kBlocking; ++i) {
    go([=]() mutable {
      const int number = stacktide::blocking([&] {
        ++*inside;
        while (!release->load()) std::this_thread::yield();
        return i;
      });
      results.send("number " + std::to_string(number));
    });
  }
  while (inside->load() < kBlocking) stacktide::yield();
  auto check = channel<int>::make();
  go([=]() mutable { check.send(7); });
  RT_CHECK(check.recv() == 7);
  release->store(true);
  for (int i = 0; i < kBlocking; ++i) RT_CHECK(results.recv()->starts_with("number "));
}

[[gnu::noinline]] long deep(int depth) {
  volatile long room[12];
  room[0] = 1;
  return depth == 0 ? 0 : deep(depth - 1) + room[0];
}

// Stacks that have grown are shrunk by others while their goroutines wake and park.
void shrink_while_waking() {
  auto ping = channel<int>::make();
  auto pong = channel<int>::make();
  auto done = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < 6; ++i) {
    go([=]() mutable {
      const std::string mine = "text of goroutine " + std::to_string(i);
      for (int round = 0; round < 12; ++round) {
        RT_CHECK(deep(150) == 150);
        ping.send(i);
        RT_CHECK(pong.recv().has_value() && mine == "text of goroutine " + std::to_string(i));
      }
      ++*done;
    });
  }
  for (int s = 0; s < 2; ++s) {
    go([=] {
      while (done->load() < 6) {
        stacktide::shrink_stacks();
        stacktide::yield();
      }
      ++*done;
    });
  }
  for (int i = 0; i < 6 * 12; ++i) {
    RT_CHECK(ping.recv().has_value());
    pong.send(i);
  }
  while (done->load() < 8) stacktide::yield();
}

void labels() {
  stacktide::set_label("a label longer than what fits in the record");
  wait_group finished;
  finished.add(5);
  for (int i = 0; i < 5; ++i) {
    go([=]() mutable {
      stacktide::set_label("label " + std::to_string(i));
      stacktide::yield();
      stacktide::set_label("");
      finished.done();
    });
  }
  finished.wait();
}

// try_send and close from a thread that is none of the runtime's.
void foreign_threads() {
  auto values = channel<int>::make(4);
  stacktide::blocking([values]() mutable {
    std::thread([values]() mutable {
      for (int i = 0; i < 200;) i += values.try_send(i) ? 1 : (std::this_thread::yield(), 0);
      values.close();
    }).detach();
  });
  // While the goroutine waits for a thread that the runtime does not know, something else must be alive, or it looks like a
  // deadlock.
  auto finished = std::make_shared<std::atomic<bool>>(false);
  go([=] {
    while (!finished->load()) stacktide::sleep_for(100us);
  });
  int next = 0;
  for (int value : values) RT_CHECK(value == next++);
  RT_CHECK(next == 200);
  finished->store(true);
}

// Waits that overlap in both directions: wait groups used again and again.
void wait_groups() {
  wait_group group;
  for (int round = 0; round < 20; ++round) {
    auto count = std::make_shared<std::atomic<int>>(0);
    group.add(6);
    for (int i = 0; i < 6; ++i) {
      go([=]() mutable {
        if (i % 2 == 0) stacktide::yield();
        ++*count;
        group.done();
      });
    }
    wait_group copy = group;
    go([=]() mutable { copy.wait(); });
    group.wait();
    RT_CHECK(count->load() == 6);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
  const rt::Test tests[] = {{"unbuffered", unbuffered},
                            {"buffered", buffered},
                            {"left_inside", left_inside},
                            {"close_wakes", close_wakes},
                            {"fairness", fairness},
                            {"goroutines_from_goroutines", goroutines_from_goroutines},
                            {"sleepers", sleepers},
                            {"many_blocking", many_blocking},
                            {"shrink_while_waking", shrink_while_waking},
                            {"labels", labels},
                            {"foreign_threads", foreign_threads},
                            {"wait_groups", wait_groups}};
  for (int round = 0; round < rounds; ++round) {
    for (const rt::Test& test : tests) {
      bool wanted = argc <= 2;
      for (int i = 2; i < argc; ++i) wanted = wanted || std::string_view(argv[i]) == test.name;
      if (!wanted) continue;
      stacktide::run([&test] { test.run(); });
      if (std::getenv("RT_VERBOSE") != nullptr) std::fprintf(stderr, "%s: right\n", test.name);
    }
  }
  // Goroutines that had only to return may still do so; what they hold is not counted here.
  RT_CHECK(live_values == 0);
  std::printf("%d rounds: right\n", rounds);
}

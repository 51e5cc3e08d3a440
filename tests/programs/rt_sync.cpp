// mutex, once and wait_group: what each promises, with goroutines whose stacks end at every place of the test.
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "rt_support.h"

namespace {

using namespace std::chrono_literals;
using stacktide::go;
using stacktide::mutex;
using stacktide::once;
using stacktide::wait_group;

template <class Condition>
void yield_until(Condition condition) {
  while (!condition()) stacktide::yield();
}

// Everybody adds to numbers that only the mutex guards, in each of the ways to lock, and waits inside now and then.
void guards() {
  constexpr int kGoroutines = 6;
  constexpr int kEach = 30;
  struct Numbers {
    long one = 0;
    long other = 0;
  };
  auto numbers = std::make_shared<Numbers>();
  const mutex m;
  const mutex second;
  wait_group finished;
  finished.add(kGoroutines);
  for (int i = 0; i < kGoroutines; ++i) {
    go([=] {
      for (int j = 0; j < kEach; ++j) {
        if (j % 3 == 0) {
          const std::lock_guard guard(m);
          RT_CHECK(numbers->one == numbers->other);
          ++numbers->one;
          if (j % 5 == 0) stacktide::yield();
          ++numbers->other;
        } else if (j % 3 == 1) {
          const std::scoped_lock guard(m, second);
          RT_CHECK(numbers->one++ == numbers->other++);
        } else {
          std::unique_lock guard(m, std::try_to_lock);
          if (!guard.owns_lock()) guard.lock();
          RT_CHECK(++numbers->one == ++numbers->other);
        }
      }
      finished.done();
    });
  }
  finished.wait();
  RT_CHECK(numbers->one == kGoroutines * kEach && m.waiting() == 0);
}

void try_lock() {
  const mutex m;
  const mutex same = m;
  RT_CHECK(m.try_lock() && !same.try_lock());
  same.unlock();
  RT_CHECK(m.try_lock());
  // Another goroutine may unlock it, while this one waits for it.
  go([=] {
    yield_until([&] { return m.waiting() == 1; });
    RT_CHECK(!m.try_lock());
    m.unlock();
  });
  m.lock();
  RT_CHECK(!same.try_lock() && m.waiting() == 0);
  m.unlock();
}

// Waiters get it in the order they came, also when the first is woken and somebody else was faster.
void in_order() {
  constexpr std::size_t kWaiters = 7;
  const mutex m;
  auto order = std::make_shared<std::vector<std::size_t>>();
  wait_group finished;
  finished.add(kWaiters);
  m.lock();
  for (std::size_t i = 0; i < kWaiters; ++i) {
    go([=] {
      m.lock();
      order->push_back(i);
      m.unlock();
      finished.done();
    });
    yield_until([&] { return m.waiting() == i + 1; });
  }
  m.unlock();
  if (m.try_lock()) {
    const std::size_t left = kWaiters - order->size();
    yield_until([&] { return m.waiting() == left; });
    m.unlock();
  }
  finished.wait();
  for (std::size_t i = 0; i < kWaiters; ++i) RT_CHECK(order->at(i) == i);
}

// Who has waited for a millisecond is not overtaken any more.
void starving() {
  const mutex m;
  auto got = std::make_shared<std::atomic<bool>>(false);
  m.lock();
  go([=] {
    const std::lock_guard guard(m);
    got->store(true);
  });
  yield_until([&] { return m.waiting() == 1; });
  stacktide::sleep_for(2ms);
  m.unlock();
  m.lock();
  // If this one was faster, the other is back in the queue soon, and has waited too long.
  yield_until([&] { return m.waiting() == 1 || got->load(); });
  m.unlock();
  m.lock();
  RT_CHECK(got->load());
  m.unlock();
}

void once_for_all() {
  const once first;
  auto count = std::make_shared<int>(0);
  wait_group finished;
  finished.add(6);
  for (int i = 0; i < 6; ++i) {
    go([=] {
      first.call([&] {
        stacktide::yield();
        ++*count;
      });
      RT_CHECK(*count == 1);
      finished.done();
    });
  }
  finished.wait();
  first.call([] { rt::fail(__FILE__, __LINE__, "once was twice"); });
}

// An exception reaches its caller, and one of those who wait meanwhile tries again.
void once_after_exception() {
  const once first;
  auto tries = std::make_shared<std::atomic<int>>(0);
  auto caught = std::make_shared<std::atomic<int>>(0);
  wait_group finished;
  finished.add(4);
  for (int i = 0; i < 4; ++i) {
    go([=] {
      try {
        first.call([&] {
          const int mine = ++*tries;
          stacktide::yield();
          if (mine < 3) throw std::runtime_error("not yet");
        });
      } catch (const std::runtime_error&) {
        ++*caught;
      }
      finished.done();
    });
  }
  finished.wait();
  RT_CHECK(*tries == 3 && *caught == 2);
}

// The counter may go up and down while some wait, and all wake when it is zero.
void wait_groups() {
  const wait_group group;
  group.wait();
  group.add(2);
  auto passed = std::make_shared<std::atomic<int>>(0);
  wait_group finished;
  finished.add(3);
  for (int i = 0; i < 3; ++i) {
    go([=] {
      group.wait();
      ++*passed;
      finished.done();
    });
  }
  for (int i = 0; i < 5; ++i) stacktide::yield();
  group.add(1);
  group.add(-2);
  for (int i = 0; i < 5; ++i) stacktide::yield();
  RT_CHECK(*passed == 0);
  group.done();
  finished.wait();
  RT_CHECK(*passed == 3);
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"guards", guards},
                        {"try_lock", try_lock},
                        {"in_order", in_order},
                        {"starving", starving},
                        {"once_for_all", once_for_all},
                        {"once_after_exception", once_after_exception},
                        {"wait_groups", wait_groups}});
}

// With one P its owner works on channels, mutexes and counters without locked instructions (runtime/src/solo.h). Here others
// work on the same ones meanwhile: threads of the program's own, and blocking(). Nothing may be lost, or be there twice.
//
//   rt_solo [ROUNDS]     for each goroutine and each thread (default 20000)
#include <stacktide/sync.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "rt_support.h"

namespace {

using stacktide::channel;
using stacktide::go;
using stacktide::mutex;
using stacktide::wait_group;

constexpr long kGoroutines = 3;
constexpr long kThreads = 2;

// Guarded by a mutex alone.
struct Account {
  mutex lock;
  long balance = 0;
};

void pay_in(Account* account) {
  const std::lock_guard guard(account->lock);
  ++account->balance;
}

// What a thread does that is none of the runtime's: it may not wait.
void from_outside(long rounds, channel<long> values, Account* account, std::vector<std::uint64_t>* ids, wait_group started) {
  for (long i = 1; i <= rounds; ++i) {
    while (!values.try_send(i)) std::this_thread::yield();
    while (!account->lock.try_lock()) std::this_thread::yield();
    ++account->balance;
    account->lock.unlock();
    if (i % 100 != 0) continue;
    started.add(1);
    ids->push_back(go([started] { started.done(); }));
  }
}

void from_a_goroutine(long rounds, channel<long> values, Account* account, wait_group done) {
  for (long i = 1; i <= rounds; ++i) {
    values.send(i);
    pay_in(account);
    if (i % 1000 == 0) stacktide::yield();
    // Of the thread that has the P a moment ago.
    if (i % 500 == 0) stacktide::blocking([&] { RT_CHECK(values.size() <= values.capacity()); });
  }
  done.done();
}

long take_all(long count, channel<long> values, std::vector<std::uint64_t>* ids, wait_group started) {
  long sum = 0;
  for (long i = 0; i < count; ++i) {
    sum += *values.recv();
    if (i % 200 != 0) continue;
    started.add(1);
    ids->push_back(go([started] { started.done(); }));
  }
  return sum;
}

void test(long rounds) {
  auto values = channel<long>::make(16);
  auto sums = channel<long>::make(1);
  const auto account = std::make_unique<Account>();  // not on a stack that may move
  wait_group done;
  wait_group started;
  std::vector<std::vector<std::uint64_t>> ids(kThreads + 1);
  done.add(kGoroutines);
  for (long i = 0; i < kGoroutines; ++i) go(from_a_goroutine, rounds, values, account.get(), done);
  go([=, taken = &ids.back()] { sums.send(take_all((kGoroutines + kThreads) * rounds, values, taken, started)); });
  // Here from beginning to end, or goroutines that wait for a thread of ours would be taken for a deadlock.
  stacktide::blocking([&] {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i)
      threads.emplace_back(from_outside, rounds, values, account.get(), &ids[i], started);
    for (auto& thread : threads) thread.join();
  });
  const long sum = *sums.recv();
  done.wait();
  started.wait();
  RT_CHECK(sum == (kGoroutines + kThreads) * (rounds * (rounds + 1) / 2));
  RT_CHECK(account->balance == (kGoroutines + kThreads) * rounds);
  std::vector<std::uint64_t> all;
  for (const auto& some : ids) all.insert(all.end(), some.begin(), some.end());
  std::ranges::sort(all);
  RT_CHECK(std::ranges::adjacent_find(all) == all.end());
  RT_CHECK(all.size() ==
           static_cast<std::size_t>(kThreads * (rounds / 100) + ((kGoroutines + kThreads) * rounds + 199) / 200));
}

}  // namespace

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::atol(argv[1]) : 20000;
  stacktide::run([rounds] { test(rounds); });
  std::puts("right");
}

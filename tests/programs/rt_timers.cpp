// Timers: none early, none forgotten, and those that are not needed any more are gone at once.
//
//   rt_timers [CANCELLED]: how many timeouts lose (default 100000)
#include <stacktide/select.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <vector>

#include "rt_support.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using stacktide::after;
using stacktide::channel;
using stacktide::go;
using stacktide::on_recv;
using stacktide::wait_group;

// Bytes of this process in memory.
long resident() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  RT_CHECK(file != nullptr && std::fscanf(file, "%*d %ld", &pages) == 1);
  std::fclose(file);
  return pages * 4096;
}

// Selects whose timeout would come in an hour, each decided by a value after it began to wait. If their timers stayed, they would fill the memory.
void cancelled(long n) {
  auto values = channel<long>::make();
  auto quit = channel<int>::make();
  go([=] {
    for (long i = 0; i < n; ++i) values.send(i);
  });
  long warm = 0;
  for (long i = 0; i < n; ++i) {
    if (i == n / 10) warm = resident();
    RT_CHECK(stacktide::select(on_recv(quit), on_recv(values, [&](std::optional<long> v) { RT_CHECK(v == i); }), after(1h)) == 1);
  }
  RT_CHECK(resident() - warm < n * 8);
  RT_CHECK(quit.waiting() == 0);
}

// Many timers of all lengths, of which some lose, in no order: each of the others ends its wait, not before its time, and not behind one that is later.
void all_lengths() {
  constexpr int kGoroutines = 600;
  auto late = std::make_shared<std::atomic<int>>(0);
  auto ended = std::make_shared<std::atomic<int>>(0);
  auto quit = channel<int>::make();
  wait_group waited_for_nothing;
  waited_for_nothing.add(kGoroutines / 10);
  std::vector<channel<int>> channels;
  for (int i = 0; i < kGoroutines; ++i) {
    channels.push_back(channel<int>::make());
    if (i % 10 == 0) {
      go([=] {
        RT_CHECK(stacktide::select(after(1h), on_recv(quit)) == 1);
        waited_for_nothing.done();
      });
    }
    go([=, c = channels.back()] {
      const auto patience = std::chrono::microseconds(2000 + i * 7919 % 3001);
      const auto start = Clock::now();
      if (i % 5 == 0) {
        stacktide::sleep_for(patience);
        RT_CHECK(Clock::now() - start >= patience);
      } else if (stacktide::select(on_recv(c), after(patience)) == 1) {
        RT_CHECK(Clock::now() - start >= patience);
        ++*late;
      }
      ++*ended;
    });
  }
  for (int i = 0; i < kGoroutines; i += 2) channels[static_cast<std::size_t>(i * 7 % kGoroutines)].try_send(1);
  stacktide::sleep_for(1ms);
  for (int i = 0; i < kGoroutines; i += 3) channels[static_cast<std::size_t>(i)].try_send(1);
  for (const auto start = Clock::now(); *ended != kGoroutines; stacktide::yield()) RT_CHECK(Clock::now() - start < 20s);
  quit.close();
  waited_for_nothing.wait();
  // Those whose number is odd and no multiple of 3 or 5 are sent nothing.
  RT_CHECK(*late >= kGoroutines * 4 / 15);
}

}  // namespace

int main(int argc, char** argv) {
  const long n = argc > 1 ? std::atol(argv[1]) : 100000;
  stacktide::run([n] { cancelled(n); });
  stacktide::run([] { all_lengths(); });
  std::printf("%ld cancelled: right\n", n);
}

// Values are handed straight to goroutines whose stacks are being moved: receivers with stacks that have grown, parked in recv() or select(), are made
// ready by senders while others shrink all parked stacks again and again. Nothing is lost, and what lies on the stacks is right.
//
//   rt_handover [ROUNDS]
#include <stacktide/select.h>

#include <atomic>
#include <memory>
#include <string>

#include "rt_support.h"

namespace {

using stacktide::channel;
using stacktide::go;
using stacktide::on_recv;
using stacktide::wait_group;

constexpr int kReceivers = 6;

struct Shared {
  channel<long> numbers = channel<long>::make();
  channel<std::string> texts = channel<std::string>::make();
  wait_group receivers;
  wait_group shrinkers;
  std::atomic<long> sum = 0;
  std::atomic<std::uint64_t> shrinks = 0;
  std::atomic<bool> over = false;
};

[[gnu::noinline]] long deep(int depth) {
  volatile long room[12];
  room[0] = 1;
  return depth == 0 ? 0 : deep(depth - 1) + room[0];
}

// Receives one value, with things on the stack that point to each other. False: closed.
[[gnu::noinline]] bool receive(Shared& shared, long number) {
  long here = number;
  long* const to_here = &here;
  long** const to_that = const_cast<long**>(&to_here);
  long got = -1;
  const bool both = number % 2 == 0;
  if (both) {
    stacktide::select(on_recv(shared.numbers, [&](std::optional<long> v) { got = v.value_or(-1); }),
                      on_recv(shared.texts, [&](std::optional<std::string> v) {
                        if (v) got = std::stol(*v), RT_CHECK(*v == "0000000000000000000000" + std::to_string(got));
                      }));
  } else {
    got = shared.numbers.recv().value_or(-1);
  }
  RT_CHECK(*to_that == &here && **to_that == number);
  if (got >= 0) shared.sum += got;
  return got >= 0;
}

void receiver(const std::shared_ptr<Shared>& shared) {
  const std::uint64_t before = stacktide::stack_info().shrinks;
  for (long i = 0;; ++i) {
    RT_CHECK(deep(120) == 120);  // so that there is something to shrink
    if (!receive(*shared, i)) break;
  }
  shared->shrinks += stacktide::stack_info().shrinks - before;
  shared->receivers.done();
}

std::uint64_t all_shrinks = 0;  // of parked receivers, over all rounds

// Sends `values` numbers and texts; every other shrinker runs without a P, as the monitor does.
void once(long values) {
  const auto shared = std::make_shared<Shared>();
  shared->receivers.add(kReceivers);
  for (int i = 0; i < kReceivers; ++i) go([=] { receiver(shared); });
  shared->shrinkers.add(2);
  for (int i = 0; i < 2; ++i) {
    go([=] {
      for (; !shared->over; stacktide::yield()) i == 0 ? stacktide::shrink_stacks() : stacktide::blocking([] { return stacktide::shrink_stacks(); });
      shared->shrinkers.done();
    });
  }
  for (long i = 0; i < values; ++i) {
    // Some meet receivers that wait already, some do not.
    if (i % 3 == 0) {
      for (int turn = 0; turn < 100 && shared->numbers.waiting() < kReceivers / 2; ++turn) stacktide::yield();
    }
    if (i % 4 == 3 && shared->texts.waiting() > 0) {
      shared->texts.send("0000000000000000000000" + std::to_string(i));
    } else {
      shared->numbers.send(i);
    }
  }
  // Both, or a select that sees the one closed would still take a value from the other.
  shared->texts.close();
  shared->numbers.close();
  shared->receivers.wait();
  shared->over = true;
  shared->shrinkers.wait();
  RT_CHECK(shared->sum == values * (values - 1) / 2);
  all_shrinks += shared->shrinks;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
  for (int i = 0; i < rounds; ++i) {
    stacktide::run([] { once(1000); });
  }
  // Or nothing has raced. In a single round that may happen.
  RT_CHECK(all_shrinks > 0);
  std::printf("%d rounds: right\n", rounds);
}

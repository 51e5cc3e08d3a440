// leak: goroutines that nobody waits for and nobody wakes again, still there when main returns. It prints right answers, and a service that went on like
// this would fill its memory. Two classics:
//
// - workers that take jobs from a channel which is never closed;
// - attempts of which the first answer is taken, while the channel has no room for the others'.
//
// `stacktide trace check` on a recording of it, with samples/stacktide.toml, says how many there are, where they wait and who created them.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <chrono>
#include <cstdio>

using stacktide::channel;

namespace {

void worker(channel<int> jobs, channel<int> results) {
  for (const int job : jobs) results.send(job * job);  // ends when jobs is closed
}

void attempt(int answer, channel<int> first) {
  first.send(answer);  // for ever, when somebody else was first
}

int ask(int question) {
  auto first = channel<int>::make();  // make(3) would have room for all
  for (int i = 0; i < 3; ++i) stacktide::go(attempt, question + 1, first);
  return first.recv().value_or(0);
}

}  // namespace

int main() {
  stacktide::run([] {
    auto jobs = channel<int>::make(4);
    auto results = channel<int>::make(4);
    for (int i = 0; i < 3; ++i) stacktide::go(worker, jobs, results);
    int sum = 0;
    for (int job = 1; job <= 10; ++job) {
      jobs.send(job);
      sum += results.recv().value_or(0);
    }
    std::printf("squares up to 10: %d; answer: %d\n", sum, ask(41));
    stacktide::sleep_for(std::chrono::milliseconds(20));  // the others come to where they wait,
    stacktide::yield();                                   // on a busy machine, too
  });
}

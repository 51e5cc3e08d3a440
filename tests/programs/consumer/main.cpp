#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <cstdio>

#include "summing.h"

int main() {
  stacktide::run([] {
    auto sums = stacktide::channel<int>::make();
    for (int n : {10, 1000}) stacktide::go([sums, n]() mutable { sums.send(sum_to(n)); });
    const int total = sums.recv().value() + sums.recv().value();
    std::printf("%d\n", total);
  });
}

// Breaks Go's rule: keeps the address of a local outside the goroutine's stack, lets the stack move, and reads through it. Prints the byte that it finds.
//
//   rt_stale moved|ended     the stack was replaced by a larger one; its goroutine has ended (with STACKTIDE_MAXPROCS=1)
#include <string_view>

#include "rt_support.h"

namespace {

volatile unsigned char* volatile kept = nullptr;

[[gnu::noinline]] void deeper(int levels) {
  volatile char room[1000];
  room[0] = 1;
  if (levels > 0) deeper(levels - 1);
  room[1] = room[0];
}

[[gnu::noinline]] void moved() {
  volatile unsigned char local = 0x11;
  kept = &local;
  RT_CHECK(*kept == 0x11);
  deeper(10);
  RT_CHECK(stacktide::stack_info().grows > 0 && local == 0x11);
  std::printf("found %#x\n", *kept);
}

void ended() {
  stacktide::wait_group finished;
  finished.add(1);
  stacktide::go([finished]() mutable {
    volatile unsigned char local = 0x11;
    kept = &local;
    finished.done();
  });
  finished.wait();
  std::printf("found %#x\n", *kept);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const bool after_move = std::string_view(argv[1]) == "moved";
  stacktide::run([after_move] { after_move ? moved() : ended(); });
}

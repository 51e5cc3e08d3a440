// stale_pointer [--wait]: breaks the promise of MOVABLE. It keeps the address of a local in a global, lets the stack grow,
// and takes the address back.
//
// The pointer then leads to a stack that the goroutine has left. With --wait it says `ready` and waits for the end of its
// input, so that `stacktide audit` finds the pointer, and `stacktide whereis ADDRESS` tells whose stack that was, when it
// moved, and where the object is now.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <unistd.h>

#include <cstdio>
#include <string_view>

namespace {

// The mistake: nothing outside the stack is adjusted when the stack moves.
long* kept = nullptr;

[[gnu::noinline]] int deeper(int levels) {
  volatile char room[400];
  room[0] = 1;
  return levels == 0 ? room[0] : deeper(levels - 1) + room[0];
}

// Not inlined: the caller's pointer lies in its frame.
[[gnu::noinline]] void take_back(long** pointer) { *pointer = kept; }

[[gnu::noinline]] void make_stale(stacktide::channel<int> release, bool wait) {
  long answer = 42;
  long* stale = nullptr;
  kept = &answer;
  deeper(20);
  take_back(&stale);
  if (wait) release.recv();
  std::printf("the local is at %p, the kept address is %p: %s\n", static_cast<void*>(&answer), static_cast<void*>(stale),
              stale == &answer ? "still right" : "stale");
}

}  // namespace

int main(int argc, char** argv) {
  const bool wait = argc == 2 && std::string_view(argv[1]) == "--wait";
  if (argc > (wait ? 2 : 1)) {
    std::fprintf(stderr, "stale_pointer: wants nothing, or --wait\n");
    return 2;
  }
  stacktide::run([wait] {
    auto release = stacktide::channel<int>::make();
    auto finished = stacktide::channel<int>::make();
    stacktide::go([release, finished, wait]() mutable {
      make_stale(release, wait);
      finished.close();
    });
    if (wait) {
      while (release.waiting() == 0) stacktide::yield();
      stacktide::blocking([] {
        std::puts("ready");
        std::fflush(stdout);
        for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
        }
      });
      release.close();
    }
    finished.recv();
  });
}

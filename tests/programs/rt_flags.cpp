// Goroutine code compiled with the flags that distributions add: -fcf-protection -fstack-clash-protection -fstack-protector-strong
// -D_FORTIFY_SOURCE=2. The first is overruled by stacktide_goroutines(); the others must work: probes below the stack pointer come after
// the check and within what it asked for, the canary of the stack protector is the same in all threads, and the checked forms of library
// functions are library functions.
#include "rt_flags.h"

#include <cstdarg>
#include <cstring>
#include <stdexcept>
#include <string>

#include "rt_support.h"

namespace {

[[gnu::noinline]] int touch(char* bytes, std::size_t size, int value) {
  std::memset(bytes, value, size);
  int sum = 0;
  for (std::size_t i = 0; i < size; i += size / 16) sum += bytes[i];
  return sum;
}

// A protected array in each frame, of sizes on both sides of the pages that probes step over.
template <std::size_t Size>
[[gnu::noinline]] int frames(int depth) {
  char room[Size];
  const int sum = touch(room, Size, depth + 1);
  const int below = depth > 0 ? frames<Size>(depth - 1) : 0;
  RT_CHECK(room[Size - 1] == static_cast<char>(depth + 1));
  return sum + below;
}

void protected_frames() {
  RT_CHECK(frames<64>(20) == 16 * (21 * 22 / 2));
  RT_CHECK(frames<4000>(3) == 16 * 10);
  RT_CHECK(frames<4096>(3) == 16 * 10);
  RT_CHECK(frames<20000>(3) == 16 * 10);
  RT_CHECK(frames<200000>(1) == 16 * 3);
}

[[gnu::noinline]] std::string format(const char* pattern, ...) {
  char text[64];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

// __snprintf_chk, __memcpy_chk and their like.
void fortified() {
  char text[64];
  char copy[64];
  std::snprintf(text, sizeof text, "%d %s %.2Lf", 7, "seven", 7.25L);
  std::strcpy(copy, text);
  std::strcat(copy, "!");
  RT_CHECK(std::strcmp(copy, "7 seven 7.25!") == 0);
  RT_CHECK(format("%d %d %d %d %d %d %d %g", 1, 2, 3, 4, 5, 6, 7, 0.5) == "1 2 3 4 5 6 7 0.5");
}

// The canary is checked on the thread on which the goroutine went on.
[[gnu::noinline]] int park_in_frame(int value) {
  char room[256];
  std::memset(room, value, sizeof room);
  for (int i = 0; i < 20; ++i) stacktide::yield();
  return room[value] + room[255];
}

void parked_frames() {
  stacktide::wait_group finished;
  finished.add(16);
  for (int i = 0; i < 16; ++i) {
    stacktide::go([i, finished]() mutable {
      RT_CHECK(park_in_frame(i) == 2 * i);
      finished.done();
    });
  }
  finished.wait();
}

void unchecked_frames() {
  const Fill fill = large_frame();
  RT_CHECK(fill(3) == 256 * 3);
  RT_CHECK(call_back([](int value) { return frames<320>(3) + value; }, 5) == 16 * 10 + 10);
}

[[gnu::noinline]] int throwing(int depth) {
  char room[128];
  std::memset(room, depth, sizeof room);
  if (depth == 0) throw std::runtime_error("far up");
  return throwing(depth - 1) + room[depth];
}

void exceptions() {
  try {
    throwing(30);
    RT_CHECK(false);
  } catch (const std::runtime_error& error) {
    RT_CHECK(std::strcmp(error.what(), "far up") == 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"protected_frames", protected_frames},
                        {"fortified", fortified},
                        {"parked_frames", parked_frames},
                        {"unchecked_frames", unchecked_frames},
                        {"exceptions", exceptions}});
}

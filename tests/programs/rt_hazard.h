// Between rt_hazard.cpp, which is goroutine code, and rt_hazard_unchecked.cpp, which is not.
#pragma once

constexpr int kFrame = 6144;
constexpr long kFrameSum = kFrame;

struct Problem {
  long number;
};

// Its functions are in the unchecked file, with frames of 6 KiB.
class Unchecked {
 public:
  virtual ~Unchecked() = default;
  virtual long work(long i) = 0;  // i and twice kFrameSum
  virtual long fail(long i) = 0;  // throws Problem{-i}
};

long (*unchecked_function())(long);  // i and kFrameSum
long (*unchecked_thrower())(long);   // throws Problem{i}
Unchecked* unchecked_object();       // lives for ever

// Writes every byte of a frame as large as it says, and adds them up: kBytes.
template <int kBytes>
[[gnu::always_inline]] inline long fill_frame() {
  volatile char frame[kBytes];
  for (int i = 0; i < kBytes; ++i) frame[i] = 1;
  long sum = 0;
  for (int i = 0; i < kBytes; ++i) sum += frame[i];
  return sum;
}

// Both files define these: the linker keeps one copy, and it must be the checked one.
[[gnu::noinline]] inline long shared_inline(long i) { return i + 3 + fill_frame<kFrame>() - kFrameSum; }
template <int kAdded>
[[gnu::noinline]] long shared_template(long i) {
  return i + kAdded + fill_frame<kFrame>() - kFrameSum;
}

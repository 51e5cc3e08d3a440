// One file of generated loops (LOOPS_FILE), and what they call. With LOOPS_CHECKED=1 it is goroutine code: each call of a
// function here moves the stack; nothing is inlined or known to the caller.
#include "rt_loops.h"

namespace {

#define APART [[gnu::noinline, gnu::noipa]]

struct Record {
  unsigned char small;
  unsigned long wide;
  unsigned short middle;
};

// Not the compiler's memset and the like: those are calls into a library, during which nothing moves.
APART unsigned long touch(unsigned long value) {
  volatile unsigned long room[6];
  room[1] = value * 2862933555777941757u + 3037000493u;
  return room[1] >> 7;
}
template <class T>
APART void poke(T* at, unsigned long value) {
  *at = static_cast<T>(*at + touch(value));
}
template <class T>
APART unsigned long peek(const T* at) {
  return *at + touch(*at);
}
APART void fill_bytes(Record* records, unsigned long bytes, unsigned long seed) {
  for (unsigned long i = 0; i < bytes / sizeof(Record); ++i) {
    records[i] = Record();
    records[i].small = static_cast<unsigned char>(seed + i);
    records[i].wide = seed * i;
    records[i].middle = static_cast<unsigned short>(seed - i);
  }
}
template <class T>
APART unsigned long sum_bytes(const T* at, unsigned long bytes) {
  unsigned long sum = 0;
  for (unsigned long i = 0; i < bytes / sizeof(T); ++i) sum = sum * 17 + at[i];
  return sum;
}
APART unsigned long sum_bytes(const Record* at, unsigned long bytes) {
  unsigned long sum = 0;
  for (unsigned long i = 0; i < bytes / sizeof(Record); ++i) sum = sum * 17 + at[i].small + at[i].wide + at[i].middle;
  return sum;
}
APART unsigned long sum_up(const unsigned char* bytes, long lo, long hi, unsigned long acc) {
  for (long i = lo; i < hi; ++i) acc = acc * 3 + bytes[i - lo] + (i % 3 == 0 ? touch(acc) : 0);
  return acc;
}
APART unsigned long sum_down(const unsigned char* bytes, long lo, long hi, unsigned long acc) {
  for (long i = hi; i-- > lo;) acc = acc * 3 + bytes[i - lo] + touch(acc);
  return acc;
}
APART unsigned long sum_between(const unsigned char* bytes, long lo, long hi, unsigned long acc) {
  const unsigned char* from = bytes;
  const unsigned char* to = bytes + (hi - lo);
  while (from < to) acc = acc * 3 + *from++ * *--to + touch(acc);
  return acc;
}

#include LOOPS_FILE

const Loops registered(LOOPS_CHECKED, kLoops, sizeof kLoops / sizeof kLoops[0]);

}  // namespace

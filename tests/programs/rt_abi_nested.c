#include "rt_abi.h"

long nested_functions(long n) {
  long total = 0;
  const long seven = 7;
  // Called directly: a pointer to it would want code on the stack.
  __attribute__((noinline)) long down(long i) {
    volatile long room[30];
    room[i % 30] = i;
    if (i == 0) return 0;
    total += seven;
    const long below = down(i - 1);
    return below + room[i % 30];
  }
  const long sum = down(n);
  return sum + total;
}

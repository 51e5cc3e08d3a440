#include "rt_monitor_library.h"

#include <cerrno>
#include <ctime>

namespace {
void rest(int milliseconds) {
  const timespec time{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
  nanosleep(&time, nullptr);
}
}  // namespace

long integer_after(int milliseconds, long value) {
  rest(milliseconds);
  return value;
}

__int128 two_words_after(int milliseconds, __int128 value) {
  rest(milliseconds);
  return value;
}

double vector_after(int milliseconds, double value) {
  rest(milliseconds);
  return value;
}

long double x87_after(int milliseconds, long double value) {
  rest(milliseconds);
  return value;
}

_Complex long double x87_pair_after(int milliseconds, long double real, long double imaginary) {
  rest(milliseconds);
  _Complex long double pair;
  __real__ pair = real;
  __imag__ pair = imaginary;
  return pair;
}

Wide memory_after(int milliseconds, double value) {
  rest(milliseconds);
  return {{value, value + 1, value + 2, value + 3}};
}

void* pointer_after(int milliseconds, void* pointer) {
  rest(milliseconds);
  return pointer;
}

int error_after(int milliseconds, int number) {
  rest(milliseconds);
  errno = number;
  return -1;
}

void call_after(int milliseconds, void (*f)(void*), void* argument) {
  rest(milliseconds);
  f(argument);
}

void throw_after(int milliseconds, int value) {
  rest(milliseconds);
  throw value;
}

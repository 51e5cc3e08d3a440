// Unchecked code that rt_monitor calls: functions that last, and what they return in each kind of register.
#pragma once

struct Wide {
  double lanes[4];
};

// Each sleeps for `milliseconds`, or until a signal.
long integer_after(int milliseconds, long value);
__int128 two_words_after(int milliseconds, __int128 value);
double vector_after(int milliseconds, double value);
long double x87_after(int milliseconds, long double value);
_Complex long double x87_pair_after(int milliseconds, long double real, long double imaginary);
Wide memory_after(int milliseconds, double value);
void* pointer_after(int milliseconds, void* pointer);
// Sets errno and returns -1.
int error_after(int milliseconds, int number);
// Calls f(argument) after so long; what f throws passes through.
void call_after(int milliseconds, void (*f)(void*), void* argument);
// Throws an int.
void throw_after(int milliseconds, int value);

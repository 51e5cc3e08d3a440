// Ordinary code as distributions compile it, called from goroutine code: see rt_flags.cpp.
#pragma once

#include <cstddef>

// Takes a frame of 128 KiB, fills it, and gives the sum of it.
using Fill = long (*)(int value);
Fill large_frame();
// A callback of goroutine code, from a frame of 8 KiB.
using Callback = int (*)(int);
int call_back(Callback callback, int value);

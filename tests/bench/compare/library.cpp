#include "library.h"

long bench_library_function(long n) { return n + 1; }

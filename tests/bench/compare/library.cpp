#include "library.h"

long bench::library_function(long n) { return n + 1; }
long bench_library_function(long n) { return n + 1; }

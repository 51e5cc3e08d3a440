// Functions of a library: compiled without stack checks, as libc is. stacktide-link reads from a C++ name how many bytes of
// stack arguments there may be; from a C name it cannot.
#pragma once

namespace bench {
long library_function(long n);
}
extern "C" long bench_library_function(long n);

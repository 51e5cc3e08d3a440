// A function of a library: compiled without stack checks, as libc is.
#pragma once

extern "C" long bench_library_function(long n);

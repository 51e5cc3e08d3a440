// The benchmarks of the goroutine side, and of the same code compiled as ordinary C++ (calls.cpp). What each does for one
// operation is said in compare.py; main.go does the same in Go.
#pragma once

namespace bench {

// scheduling.cpp
double yields(long n);
double spawns_alone(long n);
double spawns_together(long n);
double spawn_bursts(long n);
double ping_pongs(long n);
double buffered(long n);
double fan_in(long n);
double thread_switches_same(long n);
double thread_switches_other(long n);

inline constexpr long kTogether = 100;  // goroutines in a unit of spawns_together
inline constexpr long kBurst = 10'000;  // and of spawn_bursts
inline constexpr long kSenders = 1000;  // of fan_in; each sends one value in a unit
int processors();

// stacks.cpp
template <int Depth>
double recursions(long n);
extern template double recursions<10>(long);
extern template double recursions<100>(long);
extern template double recursions<1000>(long);
extern template double recursions<10000>(long);
double one_growth(long);
double longest_growth(long);
double shrinks(long);
double boundary_calls(long n);
double parked_bytes(long);

// calls.cpp
double direct_calls(long n);
double inlined_calls(long n);
double library_calls(long n);
double c_library_calls(long n);
double indirect_calls(long n);

}  // namespace bench

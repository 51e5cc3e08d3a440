// How much of the caller's stack a library function may read as arguments.
//
// Concept. A thunk leaves the caller's stack, so arguments passed in memory are copied to the system stack. The linker knows
// no types; a mangled C++ name tells the parameters, but not the size of a class passed by value, and a C name tells
// nothing. What the name leaves open is bounded by the callers: arguments lie in the caller's frame, whose size its stack
// check tells (functions.h). The thunk copies no more than the stack holds, so a large bound costs only on a stack that is
// used so far.
//
// Rejected: a constant bound (1 KiB: an 8,000-byte structure by value was cut off); reading types from debug information
// (the same answer for most calls, at a hundred times the work).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace stacktide::link {

// The largest bound: system stacks are some MiB. No ordinary thread could pass much more either.
inline constexpr std::uint32_t kMostArguments = 1 << 20;

// Bytes that lie on the stack at most, judged by the name alone: 0 when all are surely in registers, nullopt when the name
// leaves it open. symbol: as in the symbol table, mangled or C.
std::optional<std::uint32_t> argument_bytes(std::string_view symbol);

// The same, for callers whose frames hold at most `held` bytes; a multiple of 8. 0: the thunk need not copy.
std::uint32_t argument_bytes(std::string_view symbol, std::uint32_t held);

}  // namespace stacktide::link

// Which functions goroutine code calls that are not goroutine code themselves: the ones that need a thunk.
//
// Concept. A symbol is called if a relocation of an executable section against it belongs to a call or a jump. Symbols that
// are only addressed (data, or functions passed as pointers) are left alone: --wrap would move data, and a call through a
// pointer passes the indirect-branch thunks of the runtime, which look at the target when it is known. Invariant: a symbol
// that any goroutine object or the runtime defines is never listed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "object.h"

namespace stacktide::link {

// Section that GCC emits for -fsplit-stack; assembly carries it too.
inline constexpr std::string_view kSplitStackNote = ".note.GNU-split-stack";
// Marks the runtime's own objects: their functions switch stacks by themselves.
inline constexpr std::string_view kRuntimeNote = ".note.stacktide.runtime";
// Marks code whose frames may be moved; <stacktide/movable.h> emits it.
inline constexpr std::string_view kMovableNote = ".note.stacktide.movable";

// Goroutine code has stack checks and is not the runtime.
bool is_goroutine_object(const Object& object);

// Goroutine code that GCC has not compiled yet: an -flto object holds no code, and no note, but the options it was given.
bool is_lto_goroutine_object(const Object& object);

// Why jumps between stacks are refused, and what to do instead.
inline constexpr std::string_view kWhyNoJumps =
    "it saves a stack that may move or go; throw an exception, or move the code out of the goroutine target";

// Made to be called on any stack, though it is no goroutine code: never wrapped.
bool runs_on_any_stack(std::string_view symbol);

struct Call {
  std::string caller;  // demangled: of the calls seen, the first that could pass most on the stack
  std::string object;
  bool weak = true;  // every reference is weak, so the symbol may be absent from the program
  std::uint32_t held =
      0;  // bytes that the callers' frames can hold of arguments; 0xffffffff when a caller has no stack check
};

// By symbol, so that thunks come in a stable order. std::less<> for look-ups by view.
using CallMap = std::map<std::string, Call, std::less<>>;

struct Calls {
  CallMap direct;
  std::uint32_t indirect_held = 0;  // the same bound for calls through pointers
};

// Most bytes of stack arguments that the thunk of a direct call, and those of indirect calls, have to copy.
std::uint32_t argument_bytes(const CallMap::value_type& call);
std::uint32_t indirect_argument_bytes(const Calls& calls);

// Adds what the runtime's `object` defines of its own. Copies of the library's inline functions and templates that it also
// holds have no stack checks and are left out: a call to one needs a thunk.
void add_runtime_definitions(const Object& object, std::set<std::string, std::less<>>& defined);

// Adds the names that `object` defines for others.
void add_definitions(const Object& object, std::set<std::string, std::less<>>& defined);

// The calls of goroutine objects to symbols outside `defined`.
Result<Calls> collect_calls(const std::vector<Object>& goroutine_objects, const std::set<std::string, std::less<>>& defined);

// The error names a call that cannot be carried to another stack (setjmp, vfork, alloca, ...), who makes it, and what to do
// instead.
Result<void> check_calls(const CallMap& calls);

}  // namespace stacktide::link

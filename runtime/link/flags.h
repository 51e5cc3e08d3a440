// How an object was compiled, as far as the object tells: flags that came after those of stacktide_goroutines() and undid
// them.
//
// Concept. Flags reach a compiler from many places (CMAKE_CXX_FLAGS, a target's and a source file's options, a
// distribution's wrapper), and the last one counts. What a flag changes in the code is found by verification; the rest is
// read from the option list that GCC leaves in debug information, and from the property note. An object without them is
// taken on trust.
#pragma once

#include "object.h"

namespace stacktide::link {

// The error names the flag, and why goroutine code must not have it.
Result<void> check_flags(const Object& object, bool movable);

// Does the object, instrumented by ThreadSanitizer, call it?
bool uses_thread_sanitizer(const Object& object);

}  // namespace stacktide::link

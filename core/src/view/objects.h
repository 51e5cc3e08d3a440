// The text of what goroutines wait for: the same in both debuggers' printers, in whereis and in stack.
#pragma once

#include <string>

#include "stacktide/core/objects.h"
#include "view/json.h"

namespace stacktide {

// "len 2 cap 8, closed, 3 receivers waiting (goroutines 7, 9, 12)", "locked, 1 waiting (goroutine 4)", "nil".
std::string object_text(const ObjectReport& report);
// "channel, len 2 cap 8", "mutex, locked", "goroutine 7 [chan receive] worker".
std::string object_with_type(const ObjectReport& report);
// ", 3 receivers waiting (goroutines 7, 9, 12)"; "" when nobody does and nothing is wrong. `who` is "receiver", or "" for
// just "waiting".
std::string waiting_text(const Waiting& waiting, const char* who);
Json to_json(const ObjectReport& report);

}  // namespace stacktide

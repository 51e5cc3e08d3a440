#include "analyze/places.h"

namespace stacktide {

const char* place_kind_name(PlaceKind kind) {
  switch (kind) {
    case PlaceKind::stack:
      return "stack";
    case PlaceKind::left_stack:
      return "left_stack";
    case PlaceKind::freed_stack:
      return "freed_stack";
    case PlaceKind::free_arena:
      return "free_arena";
    case PlaceKind::thread_stack:
      return "thread_stack";
    case PlaceKind::code:
      return "code";
    case PlaceKind::data:
      return "data";
    case PlaceKind::memory:
      return "memory";
    case PlaceKind::absent:
      return "absent";
  }
  return "absent";
}

}  // namespace stacktide

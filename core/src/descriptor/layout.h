// Where each known field lies in this target: names resolved once, so that reading a million records costs no look-up.
//
// Concept. The structures below are generated from abi.h's vocabulary. A field that the runtime does not export has width 0
// and reads as 0; the walker asks which, and makes it unknown. Which features that costs, and which contracts are of an unknown version, is decided here, once, and said
// in `disabled`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "descriptor/descriptor.h"
#include "stacktide/abi.h"

namespace stacktide {

struct FieldRef {
  std::uint32_t offset = 0;
  std::uint32_t width = 0;  // 0: not exported
  std::uint32_t kind = 0;
  explicit operator bool() const { return width != 0; }
};

// GoroutineFields and the like, spelled as in abi.h because they are generated: goroutine_fields{record_size, stack_lo,
// ...}.
#define STACKTIDE_LAYOUT_MEMBER(type, name, kind) FieldRef name;
#define STACKTIDE_LAYOUT_STRUCT(type)                    \
  struct type##_fields {                                 \
    std::uint32_t record_size = 0; /* 0: not exported */ \
    STACKTIDE_FIELDS_##type(STACKTIDE_LAYOUT_MEMBER)     \
  };
STACKTIDE_TYPES(STACKTIDE_LAYOUT_STRUCT)
#undef STACKTIDE_LAYOUT_STRUCT
#undef STACKTIDE_LAYOUT_MEMBER

using EnumTexts = std::map<std::int64_t, std::string>;

struct Layout {
#define STACKTIDE_LAYOUT_TYPE(type) type##_fields type;
  STACKTIDE_TYPES(STACKTIDE_LAYOUT_TYPE)
#undef STACKTIDE_LAYOUT_TYPE

  // Registers of the saved context that lie in a goroutine's record; none in our own runtime's.
  struct {
#define STACKTIDE_LAYOUT_OPTIONAL(type, name, kind) FieldRef name;
    STACKTIDE_FIELDS_OPTIONAL(STACKTIDE_LAYOUT_OPTIONAL)
#undef STACKTIDE_LAYOUT_OPTIONAL
  } saved;

  // Features, each off when its contract is of an unknown version or a field that it cannot do without is missing.
  bool goroutines = false;
  bool saved_context = false;
  bool segments = false;
  bool scheduler_on = false;
  bool events = false;
  bool stack_maps_on = false;
  bool hot_splits = false;            // needs no contract
  bool wait_objects = false;          // another runtime need not have any: nothing is said when it exports none
  std::vector<std::string> disabled;  // "contract events is version 9, this stacktide knows 1: history is off"
};

// Never fails: what cannot be resolved is off.
Layout make_layout(const Descriptor& descriptor);

// The texts of an enumerated field: the enumeration "type_field", else "field", else nullptr.
const EnumTexts* enum_texts(const Descriptor& descriptor, std::string_view type, std::string_view field);

}  // namespace stacktide

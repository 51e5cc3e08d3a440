// Types as people write them.
#include <dwarf.h>

#include <array>
#include <optional>
#include <string_view>

#include "debug_tree.h"

namespace stacktide::link {
namespace {

constexpr int kMaxDepth = 64;

// What the library adds to its templates' arguments by itself.
constexpr std::array<std::string_view, 7> kDefaults = {", std::allocator<",
                                                       ", std::less<",
                                                       ", std::char_traits<",
                                                       ", std::default_delete<",
                                                       ", std::hash<",
                                                       ", std::equal_to<",
                                                       ", std::pmr::polymorphic_allocator<"};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
}

// The end of a template's arguments whose '<' lies before `at`; npos when they do not end.
std::size_t end_of_arguments(std::string_view text, std::size_t at) {
  int depth = 1;
  for (; at < text.size(); ++at) {
    if (text[at] == '<') ++depth;
    if (text[at] == '>' && --depth == 0) return at + 1;
  }
  return text.npos;
}

std::string as_written(std::string text) {
  for (const std::string_view start : kDefaults) {
    for (std::size_t at = 0; (at = text.find(start, at)) != text.npos;) {
      const std::size_t end = end_of_arguments(text, at + start.size());
      if (end == text.npos) break;
      text.erase(at, end - at);
    }
  }
  replace_all(text, " >", ">");
  replace_all(text, "long unsigned int", "unsigned long");
  replace_all(text, "short unsigned int", "unsigned short");
  replace_all(text, "long long int", "long long");
  replace_all(text, "long int", "long");
  replace_all(text, "short int", "short");
  replace_all(text, "std::basic_string<char>", "std::string");
  replace_all(text, "std::basic_string_view<char>", "std::string_view");
  return text;
}

std::string bounds_of(Dwarf_Die& array) {
  std::string bounds;
  each_child(array, [&](Dwarf_Die& child) {
    if (dwarf_tag(&child) != DW_TAG_subrange_type) return;
    Dwarf_Attribute attribute;
    Dwarf_Word number = 0;
    if (dwarf_formudata(dwarf_attr(&child, DW_AT_upper_bound, &attribute), &number) == 0)
      bounds += "[" + std::to_string(number + 1) + "]";
    else if (dwarf_formudata(dwarf_attr(&child, DW_AT_count, &attribute), &number) == 0)
      bounds += "[" + std::to_string(number) + "]";
    else bounds += "[]";
  });
  return bounds;
}

// GCC writes what qualifies an array's elements a second time, around the array.
bool elements_have(Dwarf_Die array, int qualifier) {
  std::optional<Dwarf_Die> type = array;
  int depth = 0;
  while (type && dwarf_tag(&*type) == DW_TAG_array_type && depth++ < kMaxDepth) type = type_of(*type);
  while (depth != 0 && type && depth++ < kMaxDepth) {
    const int tag = dwarf_tag(&*type);
    if (tag == qualifier) return true;
    if (tag != DW_TAG_const_type && tag != DW_TAG_volatile_type) return false;
    type = type_of(*type);
  }
  return false;
}

std::string spell(const DebugTree& tree, Dwarf_Die type) {
  std::string prefix;
  std::string suffix;
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    auto inner = type_of(type);
    switch (dwarf_tag(&type)) {
      case DW_TAG_const_type:
      case DW_TAG_volatile_type: {
        const std::string word = dwarf_tag(&type) == DW_TAG_const_type ? "const" : "volatile";
        // That of a pointer stands behind it: "char* const".
        if (inner && dwarf_tag(&*inner) == DW_TAG_pointer_type) suffix = " " + word + suffix;
        else if (!inner || !elements_have(*inner, dwarf_tag(&type))) prefix += word + " ";
        break;
      }
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type:
        break;
      case DW_TAG_pointer_type:
        suffix = "*" + suffix;
        break;
      case DW_TAG_reference_type:
        suffix = "&" + suffix;
        break;
      case DW_TAG_rvalue_reference_type:
        suffix = "&&" + suffix;
        break;
      case DW_TAG_array_type:
        suffix = bounds_of(type) + suffix;
        break;
      case DW_TAG_subroutine_type:
        return prefix + (inner ? spell(tree, *inner) : "void") + " (" + suffix + ")(...)";
      case DW_TAG_ptr_to_member_type:
        return prefix + "member pointer" + suffix;
      default:
        return prefix + tree.qualified_name(type) + suffix;
    }
    if (!inner) return prefix + "void" + suffix;
    type = *inner;
  }
  return "...";
}

}  // namespace

std::string spelled(const DebugTree& tree, Dwarf_Die type) { return as_written(spell(tree, type)); }

}  // namespace stacktide::link

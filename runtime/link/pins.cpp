#include "pins.h"

#include <dwarf.h>

#include <algorithm>
#include <span>
#include <string_view>

namespace stacktide::link {
namespace {

constexpr int kMaxDepth = 48;

// Of the C++ library, without template arguments. Parts of a class (its bases, its node handles) are judged as the class.
// Nodes, buckets or control blocks point back at the object.
constexpr std::string_view kPointsBack[] = {
    "map",
    "multimap",
    "set",
    "multiset",
    "_Rb_tree",
    "list",
    "_List_base",
    "unordered_map",
    "unordered_set",
    "unordered_multimap",
    "_Hashtable",
    "unordered_multiset",
    "_List_node_base",
    "_Rb_tree_header",
};
// Owns heap blocks that hold what its template arguments say, and nothing that points back. That a shared_ptr's deleter
// holds no address of a local is for the program to promise, as it wrote the deleter down.
constexpr std::string_view kOwns[] = {
    "vector",
    "_Vector_base",
    "deque",
    "_Deque_base",
    "forward_list",
    "_Fwd_list_base",
    "unique_ptr",
    "__uniq_ptr_impl",
    "__uniq_ptr_data",
    "_Bvector_base",
    "shared_ptr",
    "__shared_ptr",
    "__shared_ptr_access",
    "weak_ptr",
    "__weak_ptr",
    "__shared_count",
    "__weak_count",
    "_Sp_counted_ptr_inplace",
    "__allocated_ptr",
    "enable_shared_from_this",
    "_Sp_alloc_shared_tag",
};
// Holds no address that anybody could have made of a local.
constexpr std::string_view kHoldsNone[] = {
    "basic_string",    "allocator",
    "new_allocator",   "default_delete",
    "mutex",           "__mutex_base",
    "recursive_mutex", "__recursive_mutex_base",
    "timed_mutex",     "recursive_timed_mutex",
    "shared_mutex",    "condition_variable",
    "__condvar",       "exception_ptr",
    "error_code",      "error_condition",
    "type_info",       "thread",
    "char_traits",     "locale",
};
// May hold pointers, as members or in heap blocks that none of them leads out of; those to a stack it only passes on.
constexpr std::string_view kHarmless[] = {
    "basic_string_view",
    "span",
    "initializer_list",
    "unique_lock",
    "lock_guard",
    "scoped_lock",
    "shared_lock",
    "reference_wrapper",
    "exception",
    "nested_exception",
    "_Nested_exception",
    "bad_alloc",
    "runtime_error",
    "logic_error",
    "out_of_range",
    "invalid_argument",
    "length_error",
    "basic_ostream",
    "basic_istream",
    "basic_iostream",
    "basic_ios",
    "ios_base",
    "basic_streambuf",
    "basic_stringbuf",
    "basic_ostringstream",
    "basic_istringstream",
    "basic_stringstream",
    "memory_resource",
    "polymorphic_allocator",
    "monotonic_buffer_resource",
    "__cow_string",
};
// Made of their template arguments: judged by their members, pointers among them.
constexpr std::string_view kMadeOf[] = {
    "pair",    "tuple",   "_Tuple_impl", "_Head_base", "array",         "__array_traits", "optional",
    "variant", "complex", "expected",    "atomic",     "__atomic_base", "atomic_flag",    "__atomic_flag_base",
};

bool listed(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string_view without_arguments(std::string_view name) { return name.substr(0, name.find('<')); }

bool is_library(std::string_view scope) {
  return scope == "std" || scope == "__gnu_cxx" || scope == "__cxxabiv1" || scope == "boost";
}

bool is_iterator(std::string_view name) { return name.find("iterator") != name.npos || name.find("_Iterator") != name.npos; }

bool is_pointer(int tag) {
  return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type || tag == DW_TAG_rvalue_reference_type;
}

bool points_to_code(Dwarf_Die& pointer) {
  const auto target = type_of(pointer);
  if (!target) return false;
  auto real = peeled(*target);
  if (!real) return false;
  if (dwarf_tag(&*real) == DW_TAG_subroutine_type) return true;
  return name_of(*real) == "__vtbl_ptr_type";
}

// A class as the lists know it: its outermost class, and the namespaces around that.
struct LibraryClass {
  Dwarf_Die outermost{};
  std::string name;  // without template arguments
  bool library = false;
  bool ours = false;  // namespace stacktide
};

LibraryClass library_class(const DebugTree& tree, Dwarf_Die type) {
  LibraryClass found{type, {}, false, false};
  auto scope = tree.scope_of(type);
  std::string outer;
  for (int depth = 0; scope && depth < kMaxDepth; ++depth) {
    if (is_class(*scope)) found.outermost = *scope;
    else if (dwarf_tag(&*scope) == DW_TAG_namespace) outer = name_of(*scope);
    else
      return {type, std::string(without_arguments(name_of(type))), false, false};  // local to a function: the program's own
    scope = tree.scope_of(*scope);
  }
  found.name = without_arguments(name_of(found.outermost));
  found.library = is_library(outer);
  found.ours = outer == "stacktide";
  return found;
}

// A member that is an array of bytes, in which anything may be built?
bool has_bytes(Dwarf_Die& type) {
  bool found = false;
  each_child(type, [&](Dwarf_Die& child) {
    if (dwarf_tag(&child) != DW_TAG_member) return;
    const auto inner = type_of(child);
    auto real = inner ? peeled(*inner) : std::nullopt;
    if (!real || dwarf_tag(&*real) != DW_TAG_array_type) return;
    auto element = type_of(*real);
    Dwarf_Word size = 0;
    found = found || (element && dwarf_aggregate_size(&*element, &size) == 0 && size == 1);
  });
  return found;
}

bool is_polymorphic(Dwarf_Die& type) {
  bool polymorphic = false;
  each_child(type, [&](Dwarf_Die& child) {
    if (dwarf_tag(&child) == DW_TAG_member && name_of(child).starts_with("_vptr")) polymorphic = true;
  });
  return polymorphic;
}

}  // namespace

bool PinJudge::pins(Dwarf_Die type) {
  const bool may = may_stand(type, Place::frame, 0);
  // A type is taken for harmless while it is looked at, and so may be what holds it: "yes" stands only where all of it was.
  if (!may) {
    for (auto& [place, key] : fresh_) {
      const auto found = known_[static_cast<int>(place)].find(key);
      if (found != known_[static_cast<int>(place)].end() && found->second) known_[static_cast<int>(place)].erase(found);
    }
  }
  fresh_.clear();
  return !may;
}

bool PinJudge::variable_pins(Dwarf_Die type, bool is_this) {
  auto real = peeled(type);
  if (!real) return false;  // void
  const int tag = dwarf_tag(&*real);
  if (tag == DW_TAG_reference_type || tag == DW_TAG_rvalue_reference_type || (is_this && tag == DW_TAG_pointer_type)) {
    const auto object = type_of(*real);
    return object && pins(*object);
  }
  return pins(type);
}

bool PinJudge::call_pins(Dwarf_Die& function, std::string& type) {
  if (const auto result = type_of(function)) {
    auto real = peeled(*result);
    if (real && is_class(*real) && pins(*result)) {
      type = spelled(tree_, *result);
      return true;
    }
  }
  const std::string name = name_of(function);
  bool found = false;
  each_child(function, [&](Dwarf_Die& child) {
    if (found || dwarf_tag(&child) != DW_TAG_formal_parameter) return;
    // A declaration does not name it.
    if (name_of(child) != "this" && !flag_of(child, DW_AT_artificial)) return;
    const auto pointer = type_of(child);
    auto real = pointer ? peeled(*pointer) : std::nullopt;
    const auto object = real ? type_of(*real) : std::nullopt;
    auto made = object ? peeled(*object) : std::nullopt;
    if (!made || !is_class(*made)) return;
    const std::string whole = name_of(*made);
    const std::string_view short_name = without_arguments(whole);
    if (name != short_name && !(name.starts_with('~') && name.substr(1) == short_name)) return;
    if (!pins(*made)) return;
    type = spelled(tree_, *made);
    found = true;
  });
  return found;
}

bool PinJudge::may_stand(Dwarf_Die type, Place place, int depth) {
  auto real = peeled(type);
  if (!real) return true;  // void
  if (depth > kMaxDepth) return false;
  const int tag = dwarf_tag(&*real);
  if (is_pointer(tag)) return place == Place::frame || points_to_code(*real);
  if (tag == DW_TAG_array_type) {
    const auto element = type_of(*real);
    return element && may_stand(*element, place, depth + 1);
  }
  if (!is_class(*real)) return true;
  auto& known = known_[static_cast<int>(place)];
  const auto [found, fresh] = known.try_emplace(real->addr, true);  // true for itself, meanwhile
  if (!fresh) return found->second;
  fresh_.emplace_back(place, real->addr);
  const bool may = class_may_stand(*real, place, depth);
  known[real->addr] = may;
  return may;
}

bool PinJudge::class_may_stand(Dwarf_Die& type, Place place, int depth) {
  const LibraryClass known = library_class(tree_, type);
  if (known.ours) return true;
  if (known.library) {
    Dwarf_Die outermost = known.outermost;
    if (listed(kPointsBack, known.name)) return place == Place::heap && arguments_may_stand_in_heap(outermost, depth);
    if (listed(kOwns, known.name)) return arguments_may_stand_in_heap(outermost, depth);
    if (listed(kHoldsNone, known.name)) return true;
    if (listed(kHarmless, known.name) || is_iterator(known.name)) return place == Place::frame;
  }
  if (flag_of(type, DW_AT_declaration)) {
    const auto definition = tree_.definition_of(type);
    if (!definition) return false;
    return may_stand(*definition, place, depth + 1);
  }
  if (place == Place::heap && is_polymorphic(type)) return false;  // what derives from it is not known
  const bool passes_on = !known.library || listed(kMadeOf, known.name) || known.name.starts_with("_Optional") ||
                         known.name.starts_with("_Variant") || known.name.starts_with("_Uninitialized") ||
                         known.name.starts_with("_Copy_") || known.name.starts_with("_Move_") ||
                         known.name.starts_with("_Variadic");
  // What is built in an array of bytes is one of the template's arguments.
  if ((listed(kMadeOf, known.name) || has_bytes(type)) && !arguments_may_stand(type, place, depth)) return false;
  return members_may_stand(type, place, passes_on, depth);
}

bool PinJudge::members_may_stand(Dwarf_Die& type, Place place, bool own_pointers, int depth) {
  bool may = true;
  each_child(type, [&](Dwarf_Die& member) {
    const int tag = dwarf_tag(&member);
    if (!may || (tag != DW_TAG_member && tag != DW_TAG_inheritance)) return;
    if (flag_of(member, DW_AT_external) || flag_of(member, DW_AT_declaration)) return;  // static
    const auto inner = type_of(member);
    auto real = inner ? peeled(*inner) : std::nullopt;
    if (!real) return;
    if (is_pointer(dwarf_tag(&*real)) && !points_to_code(*real)) may = place == Place::frame && own_pointers;
    else may = may_stand(*inner, place, depth + 1);
  });
  return may;
}

bool PinJudge::arguments_may_stand(Dwarf_Die& type, Place place, int depth) {
  bool may = true;
  each_child(type, [&](Dwarf_Die& child) {
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_GNU_template_parameter_pack) may = may && arguments_may_stand(child, place, depth);
    if (tag != DW_TAG_template_type_parameter) return;
    if (const auto argument = type_of(child)) may = may && may_stand(*argument, place, depth + 1);
  });
  return may;
}

bool PinJudge::arguments_may_stand_in_heap(Dwarf_Die& type, int depth) {
  if (flag_of(type, DW_AT_declaration)) {
    auto definition = tree_.definition_of(type);
    return definition && arguments_may_stand_in_heap(*definition, depth);
  }
  bool may = true;
  bool ours = false;
  each_child(type, [&](Dwarf_Die& child) {
    if (dwarf_tag(&child) != DW_TAG_template_type_parameter) return;
    const auto argument = type_of(child);
    auto real = argument ? peeled(*argument) : std::nullopt;
    // A channel's value on its way: that it holds no address of a local is promised, and looked at when it is sent.
    if (real && is_class(*real) && name_of(*real) == "destroy" && library_class(tree_, *real).ours) ours = true;
    // Comparators, hashes, allocators and deleters stand in the object itself, and are judged as strictly.
    if (argument) may = may && may_stand(*argument, Place::heap, depth + 1);
  });
  return may || ours;
}

}  // namespace stacktide::link

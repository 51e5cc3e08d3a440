// The DWARF of a linked program: functions by address, and what types are called.
//
// Concept. All entries that can hold a function or a type are visited once. libdw does the parsing; what it does not keep,
// the way from a class up to the scopes around it, is noted on the way. Types without a definition where they are used (GCC
// describes a class with virtual functions in one file only) are found by their qualified name.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "object.h"

namespace stacktide::link {

class DebugTree {
 public:
  // The error says what is wrong with the file, and what to do.
  static Result<DebugTree> open(const std::filesystem::path& program);
  // Of a program without debug information: nothing is found in it.
  DebugTree() : DebugTree(-1, nullptr) {}
  DebugTree(DebugTree&& other) noexcept;
  DebugTree& operator=(DebugTree&&) = delete;
  ~DebugTree();

  // The function whose code begins at this address; nullptr when none is described.
  Dwarf_Die* function_at(std::uint64_t address);
  // Some entry, a declaration perhaps, of the function with this linkage name; nullptr when there is none.
  Dwarf_Die* function_named(const std::string& linkage_name);
  // The class, function or namespace around a type; nullopt for the outermost ones.
  std::optional<Dwarf_Die> scope_of(Dwarf_Die& type) const;
  // "std::map<int, int>": with all scopes, but for inline namespaces of the library ("__cxx11").
  std::string qualified_name(Dwarf_Die& type) const;
  // The definition of a class that is only declared here; nullopt when the program has none.
  std::optional<Dwarf_Die> definition_of(Dwarf_Die& declaration);

 private:
  DebugTree(int fd, Dwarf* dwarf) : fd_(fd), dwarf_(dwarf) {}
  void visit(Dwarf_Die parent, int depth);

  int fd_;
  Dwarf* dwarf_;
  std::unordered_map<std::uint64_t, Dwarf_Die> functions_;
  std::unordered_map<std::string, Dwarf_Die> named_;
  std::unordered_map<const void*, Dwarf_Die> scopes_;
  std::vector<Dwarf_Die> classes_;  // defined ones
  std::optional<std::unordered_map<std::string, Dwarf_Die>> definitions_;
};

// How a function was compiled, by the compiler's option list in its unit.
struct HowCompiled {
  // No two variables or temporaries share a place in its frame because one's life has ended: GCC ends a variable's at the
  // end of its scope
  // (-fstack-reuse=none keeps it from that), a temporary's at the end of an inlined destructor (-fno-lifetime-dse).
  bool lives_kept = false;
  bool optimised = true;
  bool variables = false;  // are described: not -g1
};
HowCompiled how_compiled(Dwarf_Die& function);

// Calls visit(Dwarf_Die&) for each child.
template <class Visit>
void each_child(Dwarf_Die& parent, Visit visit) {
  Dwarf_Die child;
  if (dwarf_child(&parent, &child) != 0) return;
  do {
    Dwarf_Die next = child;
    visit(child);
    if (dwarf_siblingof(&next, &child) != 0) return;
  } while (true);
}

// The type that an entry names, or that its abstract origin does; nullopt: void, or damaged.
std::optional<Dwarf_Die> type_of(Dwarf_Die& entry);
// The type behind typedefs, const, volatile and the like.
std::optional<Dwarf_Die> peeled(Dwarf_Die type);
bool is_class(Dwarf_Die& type);  // or struct or union
bool flag_of(Dwarf_Die& entry, unsigned int attribute);
std::string name_of(Dwarf_Die& entry);  // "" without one
// "const std::map<int, int>&", "long[8]": as C++ writes it, for people.
std::string spelled(const DebugTree& tree, Dwarf_Die type);

}  // namespace stacktide::link

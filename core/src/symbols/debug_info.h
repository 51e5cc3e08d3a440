// DWARF of one module: from a code address to the functions there, inlined ones included, and to lines.
//
// Concept. A unit is found by .debug_aranges or, where it is not listed (Clang writes none), by the ranges of all units,
// read once. Each unit's functions are indexed on the first question about it; libdw does all parsing. Addresses are the
// file's own.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "elf/image.h"

namespace stacktide {

// One function at an address: the one whose code it is (the last of a list), or one inlined into the next.
struct Level {
  Dwarf_Die function{};      // DW_TAG_subprogram, or DW_TAG_inlined_subroutine
  std::string name;          // as GDB shows it; "" unknown
  std::string linkage_name;  // "" when the debug info gives none
  std::string file;          // of the line being executed at this level
  std::uint32_t line = 0;
  bool inlined = false;
};

struct Parameter {
  std::string name;
  Dwarf_Die entry{};  // with a location, or without when it is optimized out
  Dwarf_Die type{};   // type.addr == nullptr: unknown
};

// A function whose code stands in another's, once for each call that was replaced by it.
struct InlinedCall {
  std::string name;  // "" unknown
  std::string file;  // of the call
  std::uint32_t line = 0;
};

// Where the code of a source line begins, as the compiler marked it for breakpoints.
struct LineStart {
  Dwarf_Addr address = 0;
  std::string file;
  std::uint32_t line = 0;
  std::vector<Dwarf_Off> inlined;  // the inlined functions that it is in, outermost first
};

// A function's line starts, and where a place in it stands.
struct FunctionLines {
  std::vector<LineStart> starts;   // by address; the function's own first instruction is not among them
  std::vector<Dwarf_Off> inlined;  // of the place
  std::string file;                // of the place, at the level asked for
  std::uint32_t line = 0;
};

class DebugInfo {
 public:
  // Null when the image holds no DWARF. The file is opened once more: libdw unpacks compressed sections in place, which the
  // shared image's read-only mapping does not bear.
  static std::unique_ptr<DebugInfo> open(Image& image);
  ~DebugInfo();
  DebugInfo(const DebugInfo&) = delete;
  DebugInfo& operator=(const DebugInfo&) = delete;

  // Innermost first. Empty when no function is described there.
  std::vector<Level> levels(Dwarf_Addr address);
  // What was inlined into the function at an address, outer ones before those inlined into them; at most `limit`. Nothing
  // when no function is described there.
  std::optional<std::vector<InlinedCall>> inlined_into(Dwarf_Addr address, std::size_t limit);
  // The lines of the function at an address, in all its parts. `level`: in how many inlined functions the place counts as
  // being; further ones at that address do not count, and the line is that of their call. Nothing when no function is
  // described there.
  std::optional<FunctionLines> lines_of_function(Dwarf_Addr address, std::size_t level);
  // The line of an address alone, for code without a described function.
  bool line(Dwarf_Addr address, std::string& file, std::uint32_t& number);

 private:
  struct Function {
    Dwarf_Addr low;
    Dwarf_Addr high;
    Dwarf_Die die;
  };
  struct Unit {
    Dwarf_Die root{};     // has the line table
    Dwarf_Die content{};  // has the functions: the same, but for split DWARF
    std::vector<Function> functions;
  };
  struct Range {
    Dwarf_Addr low;
    Dwarf_Addr high;
    Dwarf_Off unit;
  };

  DebugInfo(UniqueFd file, Elf* elf, Dwarf* dwarf) : file_(std::move(file)), elf_(elf), dwarf_(dwarf) {}
  Unit* unit_at(Dwarf_Addr address);
  static const Function* function_at(const Unit& unit, Dwarf_Addr address);
  Unit* unit_of(Dwarf_Die& root);
  void index_units();
  static void index_functions(Dwarf_Die parent, int depth, std::vector<Function>& functions);

  UniqueFd file_;
  Elf* elf_;
  Dwarf* dwarf_;
  std::map<Dwarf_Off, std::unique_ptr<Unit>> units_;
  std::vector<Range> ranges_;  // of all units, sorted; filled when .debug_aranges had no answer
  bool indexed_ = false;
};

// The linkage name of a function or of what it was made from; nullptr when there is none.
const char* linkage_name_of(Dwarf_Die& function);
// The qualified name of a function, without parameters; "" when it has none.
std::string name_of(Dwarf_Die& function);
// Whether two entries describe one function: its declaration, its abstract instance, its code, in whichever unit.
bool same_function(Dwarf_Die& a, Dwarf_Die& b);
// The call in `function` that returns to this file address, as the compiler described it.
bool find_call_site(Dwarf_Die function, Dwarf_Addr return_address, Dwarf_Die& site, int depth = 0);
// Formal parameters of a function or inlined function in their order, with those that the code has lost.
std::vector<Parameter> parameters_of(Dwarf_Die& function);

}  // namespace stacktide

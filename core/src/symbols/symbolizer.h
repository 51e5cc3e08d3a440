// Names, files, lines, inlined functions and arguments for code addresses, from symbol tables and DWARF (libdw).
//
// Concept. Lazy per module: the symbol table on the first question, DWARF when there is some. Debug info in a separate file
// (build-id or .gnu_debuglink under /usr/lib/debug) is used when it is there. Without DWARF a frame still has its symbol;
// without a symbol, its module and offset.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elf/image.h"
#include "stacktide/core/snapshot.h"
#include "unwind/unwinder.h"

namespace stacktide {

// What lies at an address of a module, by its symbol tables alone.
struct SymbolAt {
  std::string module;  // its path
  std::string symbol;  // linkage name; "" when no symbol covers the address
  std::string name;    // readable, of functions without their signature
  Address start = 0;   // of the symbol, in the target
  std::uint64_t size = 0;
  std::string section;  // ".bss"; "" unknown
  bool code = false;
};

class Symbolizer {
 public:
  // All three outlive the symbolizer.
  Symbolizer(Memory& memory, const std::vector<Module>& modules, ImageCache& images);
  ~Symbolizer();
  // Nothing when the address lies in no module.
  std::optional<SymbolAt> symbol_at(Address address);
  // The levels at pc, innermost inlined function first; at least one, perhaps without a name. `exact`: pc is the instruction
  // itself; otherwise a return address, and the call before it is meant. Fills pc, function, symbol, offset, file, line,
  // module, inlined, exact_pc.
  std::vector<Frame> symbolize(Address pc, bool exact);
  // The same with `args` filled as far as DWARF locates them at this frame ("n=3, text=..."). `callers`: the frames outside
  // it, nearest first; optimised code often leaves an argument's value only to its caller.
  std::vector<Frame> symbolize(const UnwoundFrame& frame, std::span<const UnwoundFrame> callers = {});
  // The name by which code around `caller` calls the function at `function`: "read", "std::condition_variable::wait". The
  // one that it imports, else the function's own; "" when it has none.
  std::string called_name(Address function, Address caller);
  // Address of a symbol of that linkage name in any module, main executable first.
  std::optional<Address> address_of(std::string_view symbol);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A C++ name for a linkage name, or the name itself.
std::string demangle(std::string_view symbol);

// The form in which core's, GDB's and LLDB's names of one function are equal: the qualified name without return type,
// parameters and qualifiers, template arguments without spaces, lambdas in them as "{lambda}"; of a lambda only what follows
// it ("operator()"), since debuggers do not agree on the rest. For comparing, not for showing: Frame::function keeps more.
std::string plain_name(std::string_view name);

}  // namespace stacktide

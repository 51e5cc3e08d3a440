// Names, files, lines, inlined functions and arguments for code addresses, from symbol tables and DWARF (libdw).
//
// Concept. Lazy per module: the symbol table on the first question, DWARF when there is some. Debug info in a separate file
// (build-id or .gnu_debuglink under /usr/lib/debug) is used when it is there. Without DWARF a frame still has its symbol;
// without a symbol, its module and offset.
#pragma once

#include <functional>
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

// A function that was inlined into another, and the call that was replaced by it.
struct InlinedFunction {
  std::string function;  // "" unknown
  std::string file;
  std::uint32_t line = 0;
};

enum class StepTo : std::uint8_t { next_line, caller };
struct StepEnd {
  Address address = 0;
  std::size_t level = 0;  // in how many inlined functions that place is
};

class Symbolizer {
 public:
  // All three outlive the symbolizer.
  Symbolizer(Memory& memory, const std::vector<Module>& modules, ImageCache& images);
  ~Symbolizer();
  // Nothing when the address lies in no module.
  std::optional<SymbolAt> symbol_at(Address address);
  // The functions that people mean by this text: those of that very name, linkage or readable, in any scope and module; else
  // those whose readable name `matches`. At most `limit`, by module and address. Parts that a compiler split off (".cold")
  // only by their symbol.
  std::vector<SymbolAt> functions(const std::string& text, const std::function<bool(const std::string&)>& matches,
                                  std::size_t limit);
  // Names that functions() takes and that begin with `prefix`: whole ones, or from one of their scopes on. None with spaces, none
  // twice; sorted, at most `limit`, the main executable's first.
  std::vector<std::string> function_names(std::string_view prefix, std::size_t limit);
  // One past the function that starts there: by its symbol's size, else up to the next symbol. 0 when there is no symbol.
  Address end_of_function(Address start);
  // What was inlined into the function at an address; at most `limit`. Nothing without debug information.
  std::optional<std::vector<InlinedFunction>> inlined_into(Address address, std::size_t limit);
  // Where a step from `pc` may end within the function whose code that is, inlined calls being stepped over like others: for
  // next_line the starts of its other lines and of those around it, when the place is in inlined code; for caller only the
  // latter. `level`: in how many inlined functions the place counts as being. By address. Nothing without line information.
  std::optional<std::vector<StepEnd>> step_ends(Address pc, bool exact, std::size_t level, StepTo to);
  // Whether the module at this address has such a section (".gopclntab").
  bool module_has_section(Address address, const char* section);
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

// Names for code addresses: function, file and line, by libbacktrace, demangled without allocating (see traceback.h).
#pragma once

#include <cstdint>

namespace stacktide::runtime {

// Once, at start.
void open_symbols();

// Says the functions that are at pc, innermost first: two lines each. pc lies in the instruction (a return address less
// one). Functions of the runtime only when wanted. Returns how many were said.
int say_functions_at(std::uint64_t pc, bool show_runtime);
// Says the function that begins at pc, and where: two lines.
void say_entry(std::uint64_t pc);
// Says "created by FUNCTION" and its place; `parent` is the creator's id, 0 when that was no goroutine. pc: a return
// address.
void say_created_by(std::uint64_t pc, std::uint64_t parent);
// Says the name of the function at pc, "?" where there is none.
void say_name(std::uint64_t pc);
// Can frames at pc be unwound? Not where no code is.
bool has_unwind_table(std::uint64_t pc);
// Does the code at pc belong to the runtime?
bool is_runtime_code(std::uint64_t pc);

// The demangled name of a function, or of a type (type_info::name()), cut off where it is long.
class PlainName {
 public:
  explicit PlainName(const char* name, bool type = false);
  const char* text() const { return text_; }

 private:
  static void append(const char* piece, unsigned long size, void* self);

  char text_[400];
  unsigned length_ = 0;
};

}  // namespace stacktide::runtime

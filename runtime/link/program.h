// The linked program as verification reads it: functions by address and by name, and what stands behind the linker's own
// stubs.
//
// Lifetime: points into the Object it was made from, and that into its file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "object.h"

namespace stacktide::link {

struct ProgramFunction {
  std::uint64_t begin;  // addresses
  std::uint64_t end;
  std::string_view name;
};

struct Range {
  std::uint64_t lo = 0;
  std::uint64_t hi = 0;
  bool contains(std::uint64_t address) const { return address - lo < hi - lo; }
};

class Program {
 public:
  explicit Program(const Object& object);

  // Where an output section lies in memory; empty when there is none.
  Range section(std::string_view name) const;
  // Its bytes.
  Bytes code(std::string_view name) const;
  bool is_code(std::uint64_t address) const;
  // By address; of several names of one place, all.
  const std::vector<ProgramFunction>& functions() const { return functions_; }
  // The function that covers an address; nullptr when no symbol says.
  const ProgramFunction* function_at(std::uint64_t address) const;
  // The names of what begins at an address, functions and other labels.
  std::vector<std::string_view> names_at(std::uint64_t address) const;
  // Addresses of the functions of this name.
  std::vector<std::uint64_t> addresses_of(std::string_view name) const;
  // The symbol of which the dynamic linker writes the address to `slot`; "" when it is not known.
  std::string_view dynamic_symbol(std::uint64_t slot) const;
  // The symbol to which the linker's stub (PLT) at an address leads; nullopt when there is no stub.
  std::optional<std::string_view> stub_target(std::uint64_t address) const;

 private:
  void read_slots();

  const Object& object_;
  std::vector<ProgramFunction> functions_;
  std::vector<std::pair<std::uint64_t, std::string_view>> labels_;  // all defined symbols, by address
  std::unordered_multimap<std::string_view, std::uint64_t> by_name_;
  std::unordered_map<std::uint64_t, std::string_view> slots_;
};

}  // namespace stacktide::link

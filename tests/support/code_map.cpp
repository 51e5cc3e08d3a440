#include "support/code_map.h"

#include <fmt/format.h>

#include <sstream>
#include <stdexcept>

#include "support/process.h"
#include "symbols/names.h"
#include "symbols/symbolizer.h"

namespace stacktide::test {
namespace {

std::istringstream output_of(const std::vector<std::string>& argv) {
  const Output output = run(argv);
  if (output.exit_code != 0) throw std::runtime_error(fmt::format("{} failed: {}", argv.front(), output.err));
  return std::istringstream(output.out);
}

}  // namespace

std::map<std::string, CodeRange> functions_of(const std::string& program) {
  // "NAME TYPE ADDRESS SIZE"; labels have no size.
  std::map<std::string, CodeRange> functions;
  auto lines = output_of({"nm", "-S", "-f", "posix", "--defined-only", program});
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    char type = 0;
    Address address = 0;
    Address size = 0;
    words >> name >> type >> std::hex >> address >> size;
    if (std::string_view("TtWw").find(type) == std::string_view::npos) continue;
    functions.try_emplace(without_signature(demangle(name)), CodeRange{address, address + size});
  }
  return functions;
}

std::map<Address, std::string> instructions_of(const std::string& program, const CodeRange& range) {
  std::map<Address, std::string> instructions;
  auto lines = output_of({"objdump", "-d", "--no-show-raw-insn", fmt::format("--start-address={:#x}", range.lo),
                          fmt::format("--stop-address={:#x}", range.hi), program});
  // "   18ecf:\tpush   %rbp"
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(":\t");
    if (colon == std::string::npos || !line.starts_with(' ')) continue;
    instructions.emplace(std::stoull(line.substr(0, colon), nullptr, 16), line.substr(colon + 2));
  }
  return instructions;
}

}  // namespace stacktide::test

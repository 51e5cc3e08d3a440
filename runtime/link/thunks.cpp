#include "thunks.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "process.h"

namespace stacktide::link {
namespace fs = std::filesystem;

namespace {

// Functions whose calls go to an entry of the runtime instead of the system stack. It gets the real function's address in
// r11, for calls from other stacks.
struct Route {
  std::string_view symbol;
  std::string_view entry;
};
constexpr std::array kRoutes = {Route{"__errno_location", "stacktide_errno_location"}};

std::string way_of(const CallMap::value_type& call) {
  const auto route = std::ranges::find(kRoutes, call.first, &Route::symbol);
  if (route != kRoutes.end()) return "\tjmp " + std::string(route->entry) + "\n";
  const std::uint32_t bytes = argument_bytes(call);
  if (bytes == 0) return "\tjmp stacktide_call_on_system_stack\n";
  return "\tmovl $" + std::to_string(bytes) + ", %r10d\n\tjmp stacktide_call_on_system_stack_wide\n";
}

// A constant that the runtime reads.
std::string constant(const std::string& name, std::uint32_t value) {
  return "\t.globl " + name + "\n\t.hidden " + name + "\n\t.type " + name + ", @object\n\t.size " + name +
         ", 4\n\t.p2align 2\n" + name + ":\n\t.long " + std::to_string(value) + "\n";
}

}  // namespace

std::string thunk_assembly(const Calls& calls) {
  std::string text = "# Made by stacktide-link: one thunk for each library function that goroutine code calls.\n";
  text += "\t.section " + std::string(kThunkSection) + ",\"ax\",@progbits\n";
  for (const auto& call : calls.direct) {
    const std::string& symbol = call.first;
    const std::string thunk = "__wrap_" + symbol;
    text += "\t.globl " + thunk + "\n\t.type " + thunk + ", @function\n\t.p2align 4\n" + thunk + ":\n\t.cfi_startproc\n";
    text += "\tmovq __real_" + symbol + "@GOTPCREL(%rip), %r11\n";
    text += way_of(call);
    text += "\t.cfi_endproc\n\t.size " + thunk + ", .-" + thunk + "\n";
  }
  text += "\t.section .rodata\n" + constant("stacktide_linked", 1);
  text += constant("stacktide_indirect_arguments", indirect_argument_bytes(calls));
  text += "\t.section .note.GNU-split-stack,\"\",@progbits\n\t.section .note.GNU-no-split-stack,\"\",@progbits\n";
  text += "\t.section .note.GNU-stack,\"\",@progbits\n";
  return text;
}

std::string wrap_options(const CallMap& calls) {
  std::string text;
  for (const auto& [symbol, call] : calls) text += "-Wl,--wrap=" + symbol + "\n";
  return text;
}

Result<bool> write_if_changed(const fs::path& path, std::string_view text) {
  {
    std::ifstream old(path, std::ios::binary);
    std::ostringstream held;
    if (old && held << old.rdbuf() && held.str() == text) return false;
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) return std::unexpected(path.string() + ": cannot be written: " + std::strerror(errno));
  return true;
}

Result<std::pair<fs::path, bool>> assemble(const std::string& driver, const fs::path& directory, const std::string& name,
                                           std::string_view assembly, bool anew) {
  const fs::path source = directory / (name + ".s");
  const fs::path object = directory / (name + ".o");
  std::error_code ignored;
  const auto written = write_if_changed(source, assembly);
  if (!written) return std::unexpected(written.error());
  if (!*written && !anew && fs::exists(object, ignored)) return std::pair(object, false);
  // The object is made under another name: one that was cut short is never taken for good.
  const fs::path fresh = directory / (name + ".o.new");
  fs::remove(object, ignored);
  const auto status = run_command({driver, "-c", "-x", "assembler", source.string(), "-o", fresh.string()});
  if (!status) return std::unexpected(status.error());
  if (*status != 0) return std::unexpected(driver + " could not assemble " + source.string());
  std::error_code error;
  fs::rename(fresh, object, error);
  if (error) return std::unexpected(object.string() + ": " + error.message());
  return std::pair(object, true);
}

}  // namespace stacktide::link

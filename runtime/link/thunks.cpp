#include "thunks.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "process.h"
#include "signature.h"

namespace stacktide::link {
namespace fs = std::filesystem;

std::string thunk_assembly(const Calls& calls) {
  std::string text = "# Made by stacktide-link: one thunk for each library function that goroutine code calls.\n\t.text\n";
  for (const auto& [symbol, call] : calls) {
    const bool narrow = arguments_of(symbol) == Arguments::narrow;
    const std::string thunk = "__wrap_" + symbol;
    text += "\t.globl " + thunk + "\n\t.type " + thunk + ", @function\n\t.p2align 4\n" + thunk + ":\n\t.cfi_startproc\n";
    text += "\tmovq __real_" + symbol + "@GOTPCREL(%rip), %r11\n";
    if (!narrow) text += "\tmovl $1024, %r10d\n";
    text += narrow ? "\tjmp stacktide_call_on_system_stack\n" : "\tjmp stacktide_call_on_system_stack_wide\n";
    text += "\t.cfi_endproc\n\t.size " + thunk + ", .-" + thunk + "\n";
  }
  text += "\t.section .rodata\n\t.globl stacktide_linked\n\t.hidden stacktide_linked\n\t.type stacktide_linked, @object\n";
  text += "\t.size stacktide_linked, 4\n\t.p2align 2\nstacktide_linked:\n\t.long 1\n";
  text += "\t.section .note.GNU-split-stack,\"\",@progbits\n\t.section .note.GNU-no-split-stack,\"\",@progbits\n";
  text += "\t.section .note.GNU-stack,\"\",@progbits\n";
  return text;
}

std::string wrap_options(const Calls& calls) {
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

Result<fs::path> assemble_thunks(const std::string& driver, const fs::path& directory, std::string_view assembly) {
  const fs::path source = directory / "thunks.s";
  const fs::path object = directory / "thunks.o";
  std::error_code ignored;
  const auto written = write_if_changed(source, assembly);
  if (!written) return std::unexpected(written.error());
  if (!*written && fs::exists(object, ignored)) return object;
  // The object is made under another name: one that was cut short is never taken for good.
  const fs::path fresh = directory / "thunks.o.new";
  fs::remove(object, ignored);
  const auto status = run_command({driver, "-c", "-x", "assembler", source.string(), "-o", fresh.string()});
  if (!status) return std::unexpected(status.error());
  if (*status != 0) return std::unexpected(driver + " could not assemble " + source.string());
  std::error_code error;
  fs::rename(fresh, object, error);
  if (error) return std::unexpected(object.string() + ": " + error.message());
  return object;
}

}  // namespace stacktide::link

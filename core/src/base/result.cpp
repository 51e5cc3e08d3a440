// Names and hints of error codes, in one table each, so that every front end says the same.
#include "stacktide/core/result.h"

#include <fmt/format.h>

namespace stacktide {

std::string_view code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::memory_fault:
      return "memory_fault";
    case ErrorCode::no_such_process:
      return "no_such_process";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::io_error:
      return "io_error";
    case ErrorCode::not_an_elf_file:
      return "not_an_elf_file";
    case ErrorCode::not_a_core_file:
      return "not_a_core_file";
    case ErrorCode::unsupported_target:
      return "unsupported_target";
    case ErrorCode::truncated_core:
      return "truncated_core";
    case ErrorCode::build_id_mismatch:
      return "build_id_mismatch";
    case ErrorCode::no_runtime:
      return "no_runtime";
    case ErrorCode::not_started:
      return "not_started";
    case ErrorCode::bad_descriptor:
      return "bad_descriptor";
    case ErrorCode::unsupported_contract:
      return "unsupported_contract";
    case ErrorCode::damaged_data:
      return "damaged_data";
    case ErrorCode::no_such_goroutine:
      return "no_such_goroutine";
    case ErrorCode::no_symbols:
      return "no_symbols";
    case ErrorCode::unwind_failed:
      return "unwind_failed";
    case ErrorCode::usage:
      return "usage";
    case ErrorCode::not_supported:
      return "not_supported";
  }
  return "unknown_error";
}

std::string_view hint(ErrorCode code) {
  switch (code) {
    case ErrorCode::memory_fault:
      return "not mapped, or left out of the core";
    case ErrorCode::no_such_process:
      return "check the pid";
    case ErrorCode::not_an_elf_file:
      return "an ELF executable or core is wanted";
    case ErrorCode::not_a_core_file:
      return "give a core that the kernel or gcore wrote";
    case ErrorCode::unsupported_target:
      return "64-bit x86 Linux programs are supported";
    case ErrorCode::truncated_core:
      return "check the disk's space and `ulimit -c`, then dump again";
    case ErrorCode::build_id_mismatch:
      return "give the executable that dumped this core";
    case ErrorCode::no_runtime:
      return "build the program with stacktide_goroutines(target)";
    case ErrorCode::not_started:
      return "let it run to stacktide::run()";
    case ErrorCode::bad_descriptor:
      return "its memory is damaged, or its runtime is another version";
    case ErrorCode::unsupported_contract:
      return "a newer stacktide may know it";
    case ErrorCode::no_symbols:
      return "build with -g and do not strip";
    case ErrorCode::unwind_failed:
      return "keep the executable and its libraries where the target had them";
    case ErrorCode::usage:
      return "see help";
    // Which of several causes it was, and so what to do, is known only where it happened: the context says both.
    case ErrorCode::permission_denied:
    case ErrorCode::io_error:
    case ErrorCode::damaged_data:
    case ErrorCode::no_such_goroutine:
    case ErrorCode::not_supported:
      return "";
  }
  return "";
}

std::string describe(const Error& error) {
  std::string text = error.context.empty() ? std::string(code_name(error.code)) : error.context;
  if (error.address != 0) text += fmt::format(" at {:#x}", error.address);
  if (const auto advice = hint(error.code); !advice.empty()) text += fmt::format(" ({})", advice);
  return text;
}

}  // namespace stacktide

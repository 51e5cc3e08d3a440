// Errors are values: every fallible function of core returns Result<T>.
//
// An Error has a code (what kind), an address (where, 0 when none) and a context (what was being done, with names and
// numbers). Its text and its hint, what to do next, belong to the code, so that each front end says the same.
// Nothing in core throws across this interface; front ends add nothing to the text.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace stacktide {

enum class ErrorCode : std::uint8_t {
  memory_fault,          // bytes absent from the target; address: the first bad one
  no_such_process,       // no process with this pid
  permission_denied,     // another user's process, ptrace_scope or a missing CAP_SYS_PTRACE
  io_error,              // open, read or mmap of a file failed
  not_an_elf_file,       // the file is no ELF file at all
  not_a_core_file,       // an ELF file, but of another kind
  unsupported_target,    // other architecture, word size or byte order
  truncated_core,        // the core ends before its segments do
  build_id_mismatch,     // the executable given is another build than the core's
  no_runtime,            // no descriptor found: not a goroutine program
  runtime_not_started,   // there is a runtime, which the program has not started yet
  bad_descriptor,        // a descriptor that fails validation
  unsupported_contract,  // a contract version that this reader does not know
  damaged_data,          // a structure in the target contradicts itself
  no_such_goroutine,     // no goroutine with this id
  no_symbols,            // no symbol table or debug info for an address
  unwind_failed,         // the unwinder stopped early
  usage,                 // a command line that makes no sense
  not_supported,         // this front end or target cannot do it
};

struct Error {
  ErrorCode code;
  std::uint64_t address = 0;
  std::string context;
};

// The stable spelling of a code for JSON: "memory_fault".
std::string_view code_name(ErrorCode code);
// What to do about it, without a final dot; "" when there is nothing to say beyond the context.
std::string_view hint(ErrorCode code);
// One line: context, address when not 0, and the hint in parentheses.
std::string describe(const Error& error);

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string context, std::uint64_t address = 0) {
  return std::unexpected(Error{code, address, std::move(context)});
}

}  // namespace stacktide

// Yields the value of a Result, or returns its error from the enclosing function.
#define STACKTIDE_TRY(...)                                                    \
  ({                                                                          \
    auto try_result_ = (__VA_ARGS__);                                         \
    if (!try_result_) return std::unexpected(std::move(try_result_).error()); \
    *std::move(try_result_);                                                  \
  })

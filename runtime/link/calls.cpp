#include "calls.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "functions.h"
#include "signature.h"

namespace stacktide::link {
namespace {

constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();
constexpr std::string_view kIndirectThunk = "__x86_indirect_thunk_";

struct Refusal {
  std::string_view symbol;
  std::string_view why;
};

constexpr std::string_view kContexts =
    "it switches stacks behind the runtime's back; use goroutines, or move the code out of the goroutine target";
constexpr std::string_view kClone =
    "the child would be a thread that the runtime does not know; use std::thread or posix_spawn";
constexpr std::string_view kProfile = "compile goroutine code without -pg, which calls it before the stack check";

constexpr std::array kRefused = {
    Refusal{"setjmp", kWhyNoJumps},
    Refusal{"_setjmp", kWhyNoJumps},
    Refusal{"__sigsetjmp", kWhyNoJumps},
    Refusal{"sigsetjmp", kWhyNoJumps},
    Refusal{"longjmp", kWhyNoJumps},
    Refusal{"_longjmp", kWhyNoJumps},
    Refusal{"siglongjmp", kWhyNoJumps},
    Refusal{"__longjmp_chk", kWhyNoJumps},
    Refusal{"__libc_longjmp", kWhyNoJumps},
    Refusal{"__libc_siglongjmp", kWhyNoJumps},
    Refusal{"getcontext", kContexts},
    Refusal{"setcontext", kContexts},
    Refusal{"swapcontext", kContexts},
    Refusal{"makecontext", kContexts},
    Refusal{"clone", kClone},
    Refusal{"__clone", kClone},
    Refusal{"vfork", "the child would run on its parent's frame; use posix_spawn"},
    Refusal{"__vfork", "the child would run on its parent's frame; use posix_spawn"},
    Refusal{"__morestack_allocate_stack_space",
            "alloca and variable-length arrays have no stack check; use a fixed size or a std::vector"},
    Refusal{"alloca", "its memory would be the library's frame; use a fixed size or a std::vector"},
    Refusal{"mcount", kProfile},
    Refusal{"_mcount", kProfile},
    Refusal{"__fentry__", kProfile},
};

// Called in the code that the compiler makes for every function.
bool is_exempt(std::string_view symbol) {
  return symbol.starts_with("__morestack") || symbol.starts_with(kIndirectThunk) ||
         symbol.starts_with("__x86_return_thunk") || runs_on_any_stack(symbol);
}

// Names that the assembler and -Wl,--wrap= take as they are.
bool is_plain_name(std::string_view symbol) {
  return std::ranges::all_of(symbol, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '$';
  });
}

// Is this relocation the operand of a call or jump? GOT forms are `call *foo@GOTPCREL(%rip)` and its jump.
bool is_branch(const Elf64_Rela& relocation, Bytes code) {
  const auto byte_before = [&](std::uint64_t distance) -> int {
    if (relocation.r_offset < distance || relocation.r_offset - distance >= code.size()) return -1;
    return std::to_integer<int>(code[relocation.r_offset - distance]);
  };
  const int opcode = byte_before(1);
  switch (ELF64_R_TYPE(relocation.r_info)) {
    case R_X86_64_PLT32:
      return true;
    case R_X86_64_PC32:
      return opcode == 0xe8 || opcode == 0xe9 || (byte_before(2) == 0x0f && (opcode & 0xf0) == 0x80);
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
      return byte_before(2) == 0xff && (opcode == 0x15 || opcode == 0x25);
    default:
      return false;
  }
}

bool is_refused(std::string_view symbol) {
  return std::ranges::find(kRefused, symbol, &Refusal::symbol) != kRefused.end() || symbol.starts_with("__asan_");
}

// Bytes of arguments that a call or a tail jump in `function` can pass on the stack: they lie in its frame, or where its own
// were.
std::uint32_t held_by(const Function* function) {
  if (function == nullptr || !function->checked) return kUnlimited;
  const std::uint32_t most = std::max(function->check.frame, function->check.arguments);
  return most > kUnlimited - kPushedArguments ? kUnlimited : most + kPushedArguments;
}

Result<void> collect_from(const Object& object, const std::set<std::string, std::less<>>& defined, Calls& calls) {
  const Functions functions(object);
  const auto note = [&](std::size_t section, Bytes code, const Elf64_Rela& relocation) {
    const std::uint64_t index = ELF64_R_SYM(relocation.r_info);
    if (index < object.first_global()) return;
    const Symbol symbol = object.symbol(index);
    if (symbol.defined || symbol.name.empty() || !is_branch(relocation, code)) return;
    const std::uint32_t held = held_by(functions.at(section, relocation.r_offset));
    if (symbol.name.starts_with(kIndirectThunk)) calls.indirect_held = std::max(calls.indirect_held, held);
    if (defined.contains(symbol.name)) return;
    auto known = calls.direct.find(symbol.name);
    if (known == calls.direct.end()) {
      if (is_exempt(symbol.name) && !is_refused(symbol.name)) return;
      known = calls.direct.emplace(std::string(symbol.name), Call{}).first;
    }
    Call& call = known->second;
    if (call.object.empty() || held > call.held) {
      call.caller = object.function_at(section, relocation.r_offset);
      call.object = object.name();
      call.held = held;
    }
    call.weak = call.weak && symbol.weak;
  };
  if (!object.each_code_relocation(note)) return std::unexpected(object.name() + ": damaged object file: relocations");
  return {};
}

}  // namespace

bool runs_on_any_stack(std::string_view symbol) { return symbol == "__tls_get_addr" || symbol.starts_with("__tsan_"); }

bool is_goroutine_object(const Object& object) {
  return object.has_section(kSplitStackNote) && !object.has_section(kRuntimeNote);
}

bool is_lto_goroutine_object(const Object& object) {
  const auto options = std::ranges::find(object.sections(), std::string_view(".gnu.lto_.opts"),
                                         [&](const Elf64_Shdr& section) { return object.section_name(section); });
  if (options == object.sections().end()) return false;
  const Bytes text = object.contents(*options);
  return std::string_view(reinterpret_cast<const char*>(text.data()), text.size()).contains("'-fsplit-stack'");
}

void add_runtime_definitions(const Object& object, std::set<std::string, std::less<>>& defined) {
  for (std::size_t i = object.first_global(); i < object.symbol_count(); ++i) {
    const Symbol symbol = object.symbol(i);
    if (symbol.defined && !symbol.name.empty() && (!symbol.weak || symbol.name.contains("stacktide")))
      defined.emplace(symbol.name);
  }
}

void add_definitions(const Object& object, std::set<std::string, std::less<>>& defined) {
  for (std::size_t i = object.first_global(); i < object.symbol_count(); ++i) {
    const Symbol symbol = object.symbol(i);
    if (symbol.defined && !symbol.name.empty()) defined.emplace(symbol.name);
  }
}

Result<Calls> collect_calls(const std::vector<Object>& goroutine_objects,
                            const std::set<std::string, std::less<>>& defined) {
  Calls calls;
  for (const Object& object : goroutine_objects) {
    if (auto done = collect_from(object, defined, calls); !done) return std::unexpected(done.error());
  }
  return calls;
}

std::uint32_t argument_bytes(const CallMap::value_type& call) { return argument_bytes(call.first, call.second.held); }

std::uint32_t indirect_argument_bytes(const Calls& calls) { return std::min(calls.indirect_held, kMostArguments); }

Result<void> check_calls(const CallMap& calls) {
  for (const auto& [symbol, call] : calls) {
    const auto refusal = std::ranges::find(kRefused, symbol, &Refusal::symbol);
    std::string_view why;
    if (refusal != kRefused.end()) why = refusal->why;
    else if (is_refused(symbol))
      why = "AddressSanitizer does not follow goroutine stacks; compile goroutine code without it";
    else if (call.held > kMostArguments && call.held != kUnlimited && symbol.starts_with("_Z") && !argument_bytes(symbol))
      why = "it may pass more than 1 MiB of arguments by value, more than is copied to the system stack; pass a reference";
    else if (!is_plain_name(symbol)) why = "no thunk can be made for such a name (a versioned symbol?)";
    else continue;
    return std::unexpected(readable(call.caller) + " in " + call.object + " calls " + readable(symbol) + ": " +
                           std::string(why));
  }
  return {};
}

}  // namespace stacktide::link

#include "signature.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "object.h"

namespace stacktide::link {
namespace {

// C functions, and functions of the language's runtime, with at most six integer and no stack arguments. None is variadic
// (open, fcntl and ioctl are: their optional argument is in a register, but a wide copy is the honest choice).
// clang-format off: one name a line is too long
constexpr auto kNarrowC = std::to_array<std::string_view>({"_Unwind_Backtrace",
                                                           "_Unwind_DeleteException",
                                                           "_Unwind_ForcedUnwind",
                                                           "_Unwind_GetIP",
                                                           "_Unwind_RaiseException",
                                                           "_Unwind_Resume",
                                                           "_Unwind_Resume_or_Rethrow",
                                                           "__assert_fail",
                                                           "__ctype_b_loc",
                                                           "__ctype_tolower_loc",
                                                           "__ctype_toupper_loc",
                                                           "__cxa_allocate_exception",
                                                           "__cxa_atexit",
                                                           "__cxa_bad_cast",
                                                           "__cxa_bad_typeid",
                                                           "__cxa_begin_catch",
                                                           "__cxa_call_unexpected",
                                                           "__cxa_current_exception_type",
                                                           "__cxa_deleted_virtual",
                                                           "__cxa_end_catch",
                                                           "__cxa_free_exception",
                                                           "__cxa_get_exception_ptr",
                                                           "__cxa_guard_abort",
                                                           "__cxa_guard_acquire",
                                                           "__cxa_guard_release",
                                                           "__cxa_init_primary_exception",
                                                           "__cxa_pure_virtual",
                                                           "__cxa_rethrow",
                                                           "__cxa_thread_atexit",
                                                           "__cxa_throw",
                                                           "__cxa_throw_bad_array_new_length",
                                                           "__cxa_vec_delete",
                                                           "__cxa_vec_new",
                                                           "__dynamic_cast",
                                                           "__errno_location",
                                                           "__gxx_personality_v0",
                                                           "__memcpy_chk",
                                                           "__memmove_chk",
                                                           "__memset_chk",
                                                           "__stack_chk_fail",
                                                           "__strcat_chk",
                                                           "__strcpy_chk",
                                                           "__strncpy_chk",
                                                           "_exit",
                                                           "abort",
                                                           "abs",
                                                           "accept",
                                                           "access",
                                                           "aligned_alloc",
                                                           "atexit",
                                                           "atof",
                                                           "atoi",
                                                           "atol",
                                                           "atoll",
                                                           "bcmp",
                                                           "bind",
                                                           "bsearch",
                                                           "calloc",
                                                           "chdir",
                                                           "clock",
                                                           "clock_gettime",
                                                           "close",
                                                           "closedir",
                                                           "connect",
                                                           "cos",
                                                           "difftime",
                                                           "dup",
                                                           "dup2",
                                                           "exit",
                                                           "exp",
                                                           "fclose",
                                                           "feof",
                                                           "ferror",
                                                           "fflush",
                                                           "fgetc",
                                                           "fgets",
                                                           "fileno",
                                                           "floor",
                                                           "fmod",
                                                           "fopen",
                                                           "fputc",
                                                           "fputs",
                                                           "fread",
                                                           "free",
                                                           "fseek",
                                                           "fstat",
                                                           "ftell",
                                                           "fwrite",
                                                           "getc",
                                                           "getenv",
                                                           "getpid",
                                                           "gettimeofday",
                                                           "isatty",
                                                           "kill",
                                                           "listen",
                                                           "localtime_r",
                                                           "log",
                                                           "lseek",
                                                           "malloc",
                                                           "memchr",
                                                           "memcmp",
                                                           "memcpy",
                                                           "memmove",
                                                           "mempcpy",
                                                           "memrchr",
                                                           "memset",
                                                           "mkdir",
                                                           "mmap",
                                                           "mprotect",
                                                           "munmap",
                                                           "nanosleep",
                                                           "perror",
                                                           "pipe",
                                                           "poll",
                                                           "posix_memalign",
                                                           "pow",
                                                           "pthread_cond_broadcast",
                                                           "pthread_cond_signal",
                                                           "pthread_cond_wait",
                                                           "pthread_create",
                                                           "pthread_join",
                                                           "pthread_mutex_destroy",
                                                           "pthread_mutex_init",
                                                           "pthread_mutex_lock",
                                                           "pthread_mutex_trylock",
                                                           "pthread_mutex_unlock",
                                                           "pthread_once",
                                                           "pthread_self",
                                                           "putc",
                                                           "putchar",
                                                           "puts",
                                                           "qsort",
                                                           "raise",
                                                           "rand",
                                                           "read",
                                                           "realloc",
                                                           "recv",
                                                           "remove",
                                                           "rename",
                                                           "rewind",
                                                           "sched_yield",
                                                           "send",
                                                           "sin",
                                                           "sleep",
                                                           "socket",
                                                           "sqrt",
                                                           "srand",
                                                           "stat",
                                                           "stpcpy",
                                                           "strcasecmp",
                                                           "strcat",
                                                           "strchr",
                                                           "strcmp",
                                                           "strcpy",
                                                           "strcspn",
                                                           "strdup",
                                                           "strerror",
                                                           "strlen",
                                                           "strncmp",
                                                           "strncpy",
                                                           "strnlen",
                                                           "strrchr",
                                                           "strspn",
                                                           "strstr",
                                                           "strtod",
                                                           "strtol",
                                                           "strtoll",
                                                           "strtoul",
                                                           "strtoull",
                                                           "tan",
                                                           "time",
                                                           "unlink",
                                                           "usleep",
                                                           "waitpid",
                                                           "write"});
// clang-format on
static_assert(std::ranges::is_sorted(kNarrowC));

// clang-format off: one name a line is too long
constexpr auto kIntegers = std::to_array<std::string_view>({"bool",
                                                            "char",
                                                            "char16_t",
                                                            "char32_t",
                                                            "char8_t",
                                                            "decltype(nullptr)",
                                                            "int",
                                                            "long",
                                                            "long long",
                                                            "short",
                                                            "signed char",
                                                            "std::_Ios_Fmtflags",
                                                            "std::_Ios_Iostate",
                                                            "std::_Ios_Openmode",
                                                            "std::_Ios_Seekdir",
                                                            "std::align_val_t",
                                                            "std::byte",
                                                            "std::memory_order",
                                                            "std::nullptr_t",
                                                            "unsigned char",
                                                            "unsigned int",
                                                            "unsigned long",
                                                            "unsigned long long",
                                                            "unsigned short"});
// clang-format on
static_assert(std::ranges::is_sorted(kIntegers));

// A name does not tell `this`, a hidden pointer to the returned object, nor the table of tables that constructors of classes
// with virtual bases get. At most two of them occur together; both are always counted.
constexpr int kHiddenIntegers = 2;
constexpr int kIntegerRegisters = 6;
constexpr int kFloatRegisters = 8;

// Index of the bracket that matches the closing one at `close`, over all four kinds. nullopt for names that use '<' or '>'
// as operators, which do not balance.
std::optional<std::size_t> opening(std::string_view text, std::size_t close) {
  int depth = 0;
  for (std::size_t i = close + 1; i-- > 0;) {
    const char c = text[i];
    if (c == ')' || c == '>' || c == ']' || c == '}') ++depth;
    if (c == '(' || c == '<' || c == '[' || c == '{') --depth;
    if (depth == 0) return c == '(' ? std::optional(i) : std::nullopt;
    if (depth < 0) return std::nullopt;
  }
  return std::nullopt;
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// The text between the brackets of the parameter list of a demangled function; nullopt where it has none or is no plain one.
std::optional<std::string_view> parameter_list(std::string_view name) {
  for (bool again = true; again;) {
    again = false;
    for (std::string_view suffix : {" const", " volatile", " &", " &&", " noexcept"}) {
      if (name.ends_with(suffix)) {
        name.remove_suffix(suffix.size());
        again = true;
      }
    }
  }
  if (!name.ends_with(')')) return std::nullopt;
  const auto begin = opening(name, name.size() - 1);
  if (!begin || *begin == 0) return std::nullopt;
  // "void (*f(int))(char)": the last list belongs to the returned function. But "operator()" is a name.
  const std::string_view before = name.substr(0, *begin);
  if (before.ends_with(')') && !before.ends_with("operator()")) return std::nullopt;
  return name.substr(*begin + 1, name.size() - *begin - 2);
}

std::optional<std::vector<std::string_view>> split_parameters(std::string_view list) {
  std::vector<std::string_view> parameters;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    const char c = i < list.size() ? list[i] : ',';
    if (c == '(' || c == '<' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == '>' || c == ']' || c == '}') --depth;
    if (depth < 0) return std::nullopt;
    if (c == ',' && (depth == 0 || i == list.size())) {
      if (depth != 0) return std::nullopt;
      parameters.push_back(trim(list.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (parameters.size() == 1 && (parameters[0].empty() || parameters[0] == "void")) parameters.clear();
  return parameters;
}

// C functions with variable arguments that are scalars. A call has 127 arguments at most that the language promises to
// accept.
// clang-format off: one name a line is too long
constexpr auto kVariadicScalars = std::to_array<std::string_view>(
    {"__fprintf_chk", "__printf_chk", "__snprintf_chk", "__sprintf_chk", "dprintf", "fcntl", "fprintf", "fscanf", "ioctl",
     "open", "openat", "printf", "scanf", "snprintf", "sprintf", "sscanf", "syscall", "syslog"});
// clang-format on
static_assert(std::ranges::is_sorted(kVariadicScalars));
constexpr std::uint32_t kMostScalars = 127;
constexpr std::uint32_t kScalarBytes = 16;  // of the largest, long double, with its alignment

struct Registers {
  int integers = 0;
  int floats = 0;
};

// In memory in any case: more registers than there are.
constexpr Registers kInMemory{0, kFloatRegisters + 1};

// nullopt: a class or an enumeration by value, or unknown.
std::optional<Registers> registers_of(std::string_view type) {
  // "int const*" ends in '*'; a parameter's own const is not part of the name.
  if (type.ends_with('*') || type.ends_with('&')) return Registers{1, 0};
  if (type.ends_with(')')) {  // "int (*)(char)", but not "int (X::*)(char)", which is two words
    const auto begin = opening(type, type.size() - 1);
    return begin && type.substr(0, *begin).ends_with("(*)") ? std::optional(Registers{1, 0}) : std::nullopt;
  }
  if (std::ranges::binary_search(kIntegers, type)) return Registers{1, 0};
  if (type == "long double") return kInMemory;
  if (type == "__int128" || type == "unsigned __int128") return Registers{2, 0};
  if (type == "float" || type == "double") return Registers{0, 1};
  if (type.starts_with("std::basic_string_view<") && type.ends_with('>')) return Registers{2, 0};
  if (type.starts_with("std::initializer_list<") && type.ends_with('>')) return Registers{2, 0};
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> argument_bytes(std::string_view symbol) {
  if (!symbol.starts_with("_Z")) {
    if (std::ranges::binary_search(kNarrowC, symbol)) return 0;
    if (std::ranges::binary_search(kVariadicScalars, symbol)) return kMostScalars * kScalarBytes;
    return std::nullopt;
  }
  if (symbol.starts_with("_ZTW") || symbol.starts_with("_ZTH")) return 0;  // thread_local access, initialiser
  const std::string name = demangle(symbol);
  const auto list = parameter_list(name);
  if (!list) return std::nullopt;
  const auto parameters = split_parameters(*list);
  if (!parameters) return std::nullopt;
  Registers used{kHiddenIntegers, 0};
  for (std::string_view parameter : *parameters) {
    const auto needs = registers_of(parameter);
    if (!needs) return std::nullopt;
    used.integers += needs->integers;
    used.floats += needs->floats;
  }
  if (used.integers <= kIntegerRegisters && used.floats <= kFloatRegisters) return 0;
  return static_cast<std::uint32_t>(parameters->size() + kHiddenIntegers) * kScalarBytes;
}

std::uint32_t argument_bytes(std::string_view symbol, std::uint32_t held) {
  const std::uint32_t rounded = (std::min(held, kMostArguments) + 7) & ~7u;
  return std::min(argument_bytes(symbol).value_or(kMostArguments), rounded);
}

}  // namespace stacktide::link

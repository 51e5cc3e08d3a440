#include "frame_names.h"

#include <backtrace.h>
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "report.h"

#ifdef STACKTIDE_DEMANGLER
// The demangler of libstdc++ (cp-demangle.o, see runtime/CMakeLists.txt): hands out the name of a function or type piece by
// piece and allocates nothing. Returns 0 when it could.
extern "C" int stacktide_demangle(const char* mangled, void (*piece)(const char*, std::size_t, void*), void* data);
#else
static int stacktide_demangle(const char*, void (*)(const char*, std::size_t, void*), void*) { return -1; }
#endif

// The unwinder's own search (unwind-dw2-fde.h, struct dwarf_eh_bases).
extern "C" const void* _Unwind_Find_FDE(void* pc, void* bases);

namespace stacktide::runtime {
namespace {

constinit backtrace_state* symbols = nullptr;

void ignore_problem(void*, const char*, int) {}

// On the way to a function: no more than a call instruction.
bool is_thunk(std::string_view function) { return function.starts_with("__x86_indirect_thunk_"); }

bool is_runtime_function(std::string_view function) {
  return is_thunk(function) || function.starts_with("stacktide_") || function == "__morestack" ||
         function.starts_with("_ZN9stacktide7runtime") || function.starts_with("_ZN9stacktide6detail");
}

// Inlined functions have no linkage name, so the runtime's own are told by their files, which lie beside this one.
bool is_runtime_file(std::string_view file) {
  constexpr std::string_view kThis = __FILE__;
  constexpr std::string_view kFolder = kThis.substr(0, kThis.rfind('/') + 1);
  // Its templates are the glue between a goroutine and its function.
  return file.starts_with(kFolder) || file.ends_with("/stacktide/runtime.h") || file.find("/stacktide/detail/") != file.npos;
}

struct Printer {
  bool show_runtime;
  bool creator = false;  // one function, as the creator of a goroutine
  std::uint64_t parent = 0;
  int shown = 0;
  bool hidden = false;  // there was a function, and it was not wanted
};

void say_function(Printer& printer, const char* function, const char* file, int line) {
  const PlainName name(function);
  if (printer.creator) say("created by ");
  say("%s", name.text());
  if (printer.creator && printer.parent != 0) say(" in goroutine %lu", printer.parent);
  say("\n\t%.400s:%d\n", file != nullptr ? file : "?", line);
  ++printer.shown;
}

int on_function(void* data, std::uintptr_t, const char* file, int line, const char* function) {
  auto& printer = *static_cast<Printer*>(data);
  if (function == nullptr) return 0;
  if (!printer.show_runtime && (is_runtime_function(function) || (file != nullptr && is_runtime_file(file)))) {
    printer.hidden = true;
    return 0;
  }
  say_function(printer, function, file, line);
  return printer.creator ? 1 : 0;
}

// Code without debug information has a symbol, and lies in a file.
void on_symbol(void* data, std::uintptr_t pc, const char* symbol, std::uintptr_t, std::uintptr_t) {
  auto& printer = *static_cast<Printer*>(data);
  if (symbol == nullptr || (!printer.show_runtime && is_runtime_function(symbol))) return;
  const PlainName name(symbol);
  dl_find_object object;
  const bool found = _dl_find_object(reinterpret_cast<void*>(pc), &object) == 0;
  const char* file = found && object.dlfo_link_map != nullptr ? object.dlfo_link_map->l_name : "";
  const std::uintptr_t offset = found ? pc - reinterpret_cast<std::uintptr_t>(object.dlfo_map_start) : pc;
  say("%s%s\n\t%.400s+%#lx\n", printer.creator ? "created by " : "", name.text(), *file != 0 ? file : "program", offset);
  ++printer.shown;
}

int say_at(std::uint64_t pc, Printer& printer) {
  backtrace_pcinfo(symbols, pc, on_function, ignore_problem, &printer);
  if (printer.shown == 0 && !printer.hidden) backtrace_syminfo(symbols, pc, on_symbol, ignore_problem, &printer);
  return printer.shown;
}

}  // namespace

PlainName::PlainName(const char* name, bool type) {
  const bool mangled = type || (name[0] == '_' && name[1] == 'Z');
  if (!mangled || stacktide_demangle(name, append, this) != 0) {
    length_ = 0;
    append(name, std::strlen(name), this);
  }
  text_[length_] = 0;
}

void PlainName::append(const char* piece, unsigned long size, void* self) {
  auto& name = *static_cast<PlainName*>(self);
  const unsigned long room = sizeof name.text_ - 1 - name.length_;
  size = std::min(size, room);
  std::memcpy(name.text_ + name.length_, piece, size);
  name.length_ += static_cast<unsigned>(size);
}

void open_symbols() {
  if (symbols == nullptr) symbols = backtrace_create_state(nullptr, 1, ignore_problem, nullptr);
}

int say_functions_at(std::uint64_t pc, bool show_runtime) {
  open_symbols();
  Printer printer{.show_runtime = show_runtime};
  return say_at(pc, printer);
}

void say_entry(std::uint64_t pc) {
  open_symbols();
  // The symbol says more than the debug information's plain name: a closure's type, which names the lambda.
  const auto say_name = [](void*, std::uintptr_t, const char* symbol, std::uintptr_t, std::uintptr_t) {
    if (symbol != nullptr) say("%s\n", PlainName(symbol).text());
  };
  const auto say_place = [](void*, std::uintptr_t, const char* file, int line, const char*) {
    say("\t%.400s:%d\n", file != nullptr ? file : "?", line);
    return 1;
  };
  backtrace_syminfo(symbols, pc, say_name, ignore_problem, nullptr);
  backtrace_pcinfo(symbols, pc, say_place, ignore_problem, nullptr);
}

void say_created_by(std::uint64_t pc, std::uint64_t parent) {
  open_symbols();
  Printer printer{.show_runtime = false, .creator = true, .parent = parent};
  say_at(pc - 1, printer);
}

void say_name(std::uint64_t pc) {
  open_symbols();
  const auto say_it = [](void*, std::uintptr_t, const char* symbol, std::uintptr_t, std::uintptr_t) {
    say("%s", symbol != nullptr ? PlainName(symbol).text() : "?");
  };
  backtrace_syminfo(symbols, pc, say_it, ignore_problem, nullptr);
}

bool has_unwind_table(std::uint64_t pc) {
  struct {
    void* text;
    void* data;
    void* function;
  } bases;
  return _Unwind_Find_FDE(reinterpret_cast<void*>(pc), &bases) != nullptr;
}

bool is_runtime_code(std::uint64_t pc) {
  open_symbols();
  bool runtime = false;
  const auto check = [](void* data, std::uintptr_t, const char* symbol, std::uintptr_t, std::uintptr_t) {
    *static_cast<bool*>(data) = symbol != nullptr && is_runtime_function(symbol) && !is_thunk(symbol);
  };
  backtrace_syminfo(symbols, pc, check, ignore_problem, &runtime);
  return runtime;
}

}  // namespace stacktide::runtime

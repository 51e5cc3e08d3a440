// What tests of stacktide-link share: a folder in which objects are compiled and linked by it, with any linker that is
// installed.
//
// The runtime is a stand-in of a few instructions that counts how often each entry is passed, so that these tests do not
// depend on the real one.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace stacktide::test {

inline constexpr const char* kRuntime = R"(
    .text
    .globl stacktide_call_on_system_stack, stacktide_call_on_system_stack_wide, __morestack, __morestack_non_split
    .type __morestack, @function
stacktide_call_on_system_stack:
    incq narrow_calls(%rip)
    jmp *%r11
stacktide_call_on_system_stack_wide:
    incq wide_calls(%rip)
    jmp *%r11
    .irp reg, rax, rbx, rcx, rdx, rsi, rdi, r8, r9, r10, r11
    .globl __x86_indirect_thunk_\reg
__x86_indirect_thunk_\reg:
    jmp *%\reg
    .endr
__morestack:
__morestack_non_split:
    pop %r11
    inc %r11
    jmp *%r11
    .size __morestack, .-__morestack
    .data
    .globl narrow_calls, wide_calls
narrow_calls: .quad 0
wide_calls: .quad 0
    .section .note.GNU-split-stack,"",@progbits
    .section .note.GNU-no-split-stack,"",@progbits
    .section .note.stacktide.runtime,"",@progbits
    .section .note.GNU-stack,"",@progbits
)";

struct Ran {
  int status;
  std::string output;
};

inline Ran run_shell(const std::string& command) {
  std::FILE* pipe = popen(("LC_ALL=C; export LC_ALL; { " + command + "; } 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> block;
  for (std::size_t n = 0; (n = fread(block.data(), 1, block.size(), pipe)) > 0;) output.append(block.data(), n);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, output};
}

inline std::vector<std::string> linkers() {
  std::vector<std::string> found;
  for (const char* name : {"bfd", "gold", "lld"}) {
    if (run_shell(std::string("command -v ld.") + name).status == 0) found.emplace_back(name);
  }
  return found;
}

class Workshop {
 public:
  Workshop() {
    std::string name = (std::filesystem::temp_directory_path() / "stacktide-link-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    compile("runtime.s", kRuntime, "");
    REQUIRE(in_folder("ar rcs libruntime.a runtime.o").status == 0);
  }
  ~Workshop() { std::filesystem::remove_all(path_); }

  Ran in_folder(const std::string& command) const { return run_shell("cd " + path_.string() + " && " + command); }
  Ran link(const std::string& arguments) const {
    return in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-link g++ " + arguments);
  }
  // file.cpp or file.s -> file.o
  void compile(const std::string& file, const std::string& text, const std::string& flags) const {
    std::ofstream(path_ / file) << text;
    const Ran done = in_folder("g++ -c " + flags + " " + file);
    CAPTURE(done.output);
    REQUIRE(done.status == 0);
  }
  std::string read(const std::string& file) const {
    std::ifstream stream(path_ / file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::filesystem::path at(const std::string& file) const { return path_ / file; }

 private:
  std::filesystem::path path_;
};

// Flags of goroutine code, as far as linking depends on them.
inline const std::string kChecked =
    "-fsplit-stack -fcf-protection=none -fno-lto -maccumulate-outgoing-args -mindirect-branch=thunk-extern "
    "-mindirect-branch-register '-DCHECKED=\"checked\"' ";
inline const std::string kMovable =
    kChecked + "-fno-ivopts -include " STACKTIDE_SOURCE_DIR "/runtime/include/stacktide/movable.h ";
inline const std::string kPlain = "'-DCHECKED=\"unchecked\"' ";

}  // namespace stacktide::test

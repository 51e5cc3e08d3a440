// Calls with the stack pointer at an exact address, and what a function's check asks for, read from its code.
//
// For tests at the exact bytes where a stack ends: what stands before a call decides to the byte how much room its callee finds.
#pragma once

#include <cstdint>
#include <cstring>

#include "rt_support.h"
#include "stack.h"

namespace rt {

using stacktide::runtime::kStackGuard;
using stacktide::runtime::kStackSmall;

// What the compiler put at a function's beginning (facts are in its shape alone): small frames compare rsp, others rsp less the frame.
struct Check {
  bool small;
  std::uint64_t compared;  // bytes below rsp that are compared with the guard
  std::uint64_t frame;     // bytes that the slow path asks for
};

inline Check check_of(const void* function) {
  const auto* code = static_cast<const unsigned char*>(function);
  constexpr unsigned char kCompareRsp[] = {0x64, 0x48, 0x3b, 0x24, 0x25, 0x70, 0, 0, 0};  // cmpq %fs:112, %rsp
  constexpr unsigned char kLea[] = {0x4c, 0x8d, 0x9c, 0x24};                                // leaq disp32(%rsp), %r11
  constexpr unsigned char kCompareR11[] = {0x64, 0x4c, 0x3b, 0x1c, 0x25, 0x70, 0, 0, 0};  // cmpq %fs:112, %r11
  Check check{};
  if (std::memcmp(code, kCompareRsp, sizeof kCompareRsp) == 0) {
    check.small = true;
    code += sizeof kCompareRsp;
  } else {
    RT_CHECK(std::memcmp(code, kLea, sizeof kLea) == 0);
    std::int32_t displacement = 0;
    std::memcpy(&displacement, code + sizeof kLea, sizeof displacement);
    check.compared = static_cast<std::uint64_t>(-std::int64_t{displacement});
    code += sizeof kLea + 4;
    RT_CHECK(std::memcmp(code, kCompareR11, sizeof kCompareR11) == 0);
    code += sizeof kCompareR11;
  }
  // jb slow, or jae over it.
  std::int32_t distance = 0;
  const bool near = code[0] == 0x0f;
  const unsigned char condition = near ? code[1] & 0x0f : code[0] & 0x0f;
  RT_CHECK((near ? (code[1] & 0xf0) == 0x80 : (code[0] & 0xf0) == 0x70) && (condition == 2 || condition == 3));
  if (near) {
    std::memcpy(&distance, code + 2, sizeof distance);
  } else {
    distance = static_cast<signed char>(code[1]);
  }
  const unsigned char* slow = code + (near ? 6 : 2);
  if (condition == 2) slow += distance;
  RT_CHECK(slow[0] == 0x41 && slow[1] == 0xba);  // movl $frame, %r10d
  std::uint32_t frame = 0;
  std::memcpy(&frame, slow + 2, sizeof frame);
  check.frame = frame;
  return check;
}

// Calls function so that rsp is `entry` at its first instruction, with `args` bytes of stack arguments from `source`. There must be room for them above
// entry. The stack may move meanwhile: the way back is in rbx, which moves with it. Leaves the red zone alone.
[[gnu::always_inline]] inline void call_at(std::uint64_t entry, const void* function, const void* source = nullptr, std::uint64_t args = 0) {
  register const void* target asm("r12") = function;
  register std::uint64_t top asm("r13") = entry + 8;
  asm volatile(
      "movq %%rsp, %%rbx\n\t"
      "movq %%r13, %%rsp\n\t"
      "movq %%r13, %%rdi\n\t"
      "cld\n\t"
      "rep movsb\n\t"
      // As a function with variable arguments is called that gets none in vector registers.
      "xorl %%eax, %%eax\n\t"
      "call __x86_indirect_thunk_r12\n\t"
      "movq %%rbx, %%rsp"
      : "+r"(top), "+r"(target), "+S"(source), "+c"(args)
      :
      : "rbx", "rax", "rdx", "rdi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

}  // namespace rt

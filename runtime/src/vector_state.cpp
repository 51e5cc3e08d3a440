// Which vector registers __morestack must keep: they may hold a function's arguments (AVX and AVX-512 ones too), and
// newstack or libc under it may use them.
#include <cpuid.h>

#include <cstdint>

#include "fatal.h"
#include "scheduler.h"

// Read by assembly: the components to save (XCR0 bits), the bytes they need, and whether XSAVEC may be used.
extern "C" {
constinit std::uint32_t stacktide_xsave_mask = 0;
constinit std::uint64_t stacktide_xsave_size = 0;
constinit std::uint32_t stacktide_xsave_compact = 0;
// May XGETBV be asked which components are in use?
constinit std::uint32_t stacktide_xgetbv_in_use = 0;
}

namespace stacktide::runtime {

void find_vector_state() {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
  std::uint32_t d = 0;
  constexpr std::uint32_t kOsXsave = 1U << 27;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsXsave) == 0)
    fatal("this processor has no XSAVE, which stack growth needs");
  std::uint32_t enabled = 0;
  asm volatile("xgetbv" : "=a"(enabled), "=d"(d) : "c"(0));
  // SSE, AVX, AVX-512 (opmask, upper halves, upper sixteen). No argument is passed in x87 or AMX registers.
  stacktide_xsave_mask = enabled & 0xe6;
  // The standard format's size for all enabled components bounds the compact one too.
  if (__get_cpuid_count(0xd, 0, &a, &b, &c, &d) == 0) fatal("this processor does not describe its XSAVE area");
  stacktide_xsave_size = (b + 63) & ~std::uint32_t{63};
  if (__get_cpuid_count(0xd, 1, &a, &b, &c, &d) == 0) return;
  stacktide_xsave_compact = (a >> 1) & 1;
  stacktide_xgetbv_in_use = (a >> 2) & 1;
}

}  // namespace stacktide::runtime

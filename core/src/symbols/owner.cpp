#include "symbols/owner.h"

#include <algorithm>
#include <array>

namespace stacktide {

bool is_system_code(std::string_view module, std::string_view file) {
  if (file.starts_with("/usr/include/") || file.starts_with("/usr/lib/gcc/")) return true;
  constexpr std::array<std::string_view, 8> kLibraries = {"libc.so",       "libstdc++.so", "libgcc_s.so", "libm.so",
                                                          "libpthread.so", "ld-linux",     "linux-vdso",  "[vdso]"};
  const auto name = base_name(module);
  return std::ranges::any_of(kLibraries, [&](std::string_view library) { return name.starts_with(library); });
}

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace stacktide

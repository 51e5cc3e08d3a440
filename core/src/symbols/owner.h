// Whose code it is, by where it lies.
#pragma once

#include <string_view>

namespace stacktide {

// The C or C++ library's, or another part of the system's.
bool is_system_code(std::string_view module, std::string_view file);
// The last component of a path.
std::string_view base_name(std::string_view path);

}  // namespace stacktide

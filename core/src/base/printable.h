// Text that came from a target, made safe to print: a label or a symbol must not be able to steer a terminal.
#pragma once

#include <string>
#include <string_view>

namespace stacktide {

// Control characters become \xNN; everything else, UTF-8 included, stays.
std::string printable(std::string_view text);

}  // namespace stacktide

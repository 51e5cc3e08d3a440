// Amounts as people write them in rules: "64KiB", "5ms", "2%".
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "analyze/metrics.h"

namespace stacktide {

// An amount in this unit, from 0 on; bytes, counts and nanoseconds are whole numbers. Error: what is wrong, and what is
// wanted.
std::expected<double, std::string> parse_quantity(std::string_view text, Unit unit);
// The same of a number without a unit. Of a time there is none: "5" of what?
std::expected<double, std::string> plain_quantity(double number, Unit unit);
// "a count, as 0 or 12".
std::string_view wanted(Unit unit);

}  // namespace stacktide

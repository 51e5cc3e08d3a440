// An amount in JSON: a whole number as one, 12 and not 12.0.
#pragma once

#include <cmath>

#include "view/json.h"

namespace stacktide {

inline Json check_number(double amount) {
  return amount == std::floor(amount) ? Json(static_cast<std::uint64_t>(amount)) : Json(amount);
}

}  // namespace stacktide

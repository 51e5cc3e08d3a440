// The text and JSON of `runtime --layout`.
#pragma once

#include <string>

#include "analyze/address_space.h"
#include "view/json.h"
#include "view/text.h"

namespace stacktide {

std::string address_space_text(const Snapshot& snapshot, const AddressSpace& space, const Style& style);
Json to_json(const AddressSpace& space);

}  // namespace stacktide

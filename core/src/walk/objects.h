// Reads the structures that goroutines wait for (abi.h, contract wait_objects), without a walk over the goroutines.
#pragma once

#include <string_view>

#include "descriptor/descriptor.h"
#include "descriptor/layout.h"
#include "stacktide/core/objects.h"

namespace stacktide {

// The wait_queue at `address`. At most kMaxWalked waiters are looked at; never fails as a whole.
inline constexpr std::uint64_t kMaxWalked = 64;
// `type` is channel, mutex, wait_group or poll_descriptor. Its text is left empty. Errors: as of stacktide::read_object.
Result<ObjectReport> read_wait_object(Memory& memory, const Descriptor& descriptor, const Layout& layout,
                                      std::string_view type, Address address);

// Of which type the wait_object of a goroutine with this wait reason is; "" of none.
std::string_view wait_object_type(const Descriptor& descriptor, std::string_view wait_reason);

}  // namespace stacktide

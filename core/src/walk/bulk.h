// Reads rows of records from the target in large pieces, and around holes.
//
// One read per mebibyte, not one per record: a million goroutines are a few hundred system calls. A hole costs the records
// that it touches and no others. Buffers are bounded whatever the target says.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide {

struct BulkResult {
  std::uint64_t read = 0;
  std::uint64_t absent = 0;
  Address first_absent = 0;  // valid when absent > 0
};

inline constexpr std::uint64_t kBulkBytes = 1U << 20;
inline constexpr std::uint64_t kPageBytes = 4096;

// Calls visit(index, bytes of one record) for each record that is there, in order. `size` <= `stride`, both at most
// kMaxTypeSize. `reread`: each piece is read twice, and visit gets the second reading as a third argument, for a target that
// goes on running.
template <class Visit>
BulkResult for_each_record(Memory& memory, Address address, std::uint64_t count, std::uint64_t stride, std::uint64_t size,
                           bool reread, Visit visit) {
  BulkResult result;
  const std::uint64_t per_piece = std::max<std::uint64_t>(1, kBulkBytes / stride);
  std::vector<std::byte> first;
  std::vector<std::byte> second;
  for (std::uint64_t index = 0; index < count;) {
    const std::uint64_t here = std::min(per_piece, count - index);
    const Address start = address + index * stride;
    const std::uint64_t wanted = (here - 1) * stride + size;
    first.resize(wanted);
    const std::uint64_t got = memory.read_up_to(start, first);
    const std::uint64_t whole = got < size ? 0 : std::min(here, (got - size) / stride + 1);
    if (reread && whole > 0) {
      second.resize((whole - 1) * stride + size);
      if (memory.read_up_to(start, second) != second.size()) second = first;
    }
    for (std::uint64_t i = 0; i < whole; ++i) {
      const auto bytes = std::span<const std::byte>(first).subspan(i * stride, size);
      visit(index + i, bytes, reread ? std::span<const std::byte>(second).subspan(i * stride, size) : bytes);
    }
    result.read += whole;
    index += whole;
    if (whole == here) continue;

    // Memory comes and goes by pages: skip to the next one, but at least the record that is broken.
    const Address hole = start + got;
    if (result.absent == 0) result.first_absent = hole;
    const Address resume = (hole / kPageBytes + 1) * kPageBytes;
    std::uint64_t next = index + 1;
    if (resume > address) next = std::max(next, (resume - address + stride - 1) / stride);
    next = std::min(next, count);
    result.absent += next - index;
    index = next;
  }
  return result;
}

}  // namespace stacktide

// The exact reads that all of core uses, on top of the one short read that each kind of target implements.
//
// A short count is asked again from where it ended, until nothing comes: an adapter may stop at a page or segment boundary
// although more follows, and the fault must name the first byte that is really absent.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "stacktide/core/target.h"

namespace stacktide {
namespace {

// Pages are the unit in which memory is there or not, on the host's side of every adapter too.
constexpr std::size_t kPage = 4096;

// Reads until `out` is full or nothing more comes; never past the end of the address space.
std::size_t read_all_there_is(Memory& memory, Address address, std::span<std::byte> out) {
  if (const Address room = Address{0} - address; address != 0 && out.size() > room) out = out.first(room);
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t got = memory.read_up_to(address + done, out.subspan(done));
    if (got == 0) break;
    done += std::min(got, out.size() - done);
  }
  return done;
}

}  // namespace

Result<void> Memory::read(Address address, std::span<std::byte> out) {
  const std::size_t done = read_all_there_is(*this, address, out);
  if (done == out.size()) return {};
  std::string what = done == 0 ? fmt::format("a read of {} bytes fails", out.size())
                               : fmt::format("a read of {} bytes from {:#x} fails", out.size(), address);
  return fail(ErrorCode::memory_fault, std::move(what), address + done);
}

Result<std::string> Memory::read_string(Address address, std::size_t limit) {
  std::string text;
  std::array<std::byte, 256> buffer;
  while (text.size() < limit) {
    const Address at = address + text.size();
    // Not across a page: what follows the string may be absent.
    const std::size_t want = std::min({limit - text.size(), buffer.size(), kPage - static_cast<std::size_t>(at % kPage)});
    const std::size_t got = read_all_there_is(*this, at, std::span(buffer).first(want));
    const char* chars = reinterpret_cast<const char*>(buffer.data());
    const auto* end = static_cast<const char*>(std::memchr(chars, 0, got));
    if (end != nullptr) return text.append(chars, end);
    text.append(chars, got);
    if (got < want)
      return fail(ErrorCode::memory_fault, fmt::format("a string from {:#x} has no end, its read fails", address), at + got);
  }
  return text;
}

}  // namespace stacktide

#include "target/process_memory.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace stacktide {
namespace {

constexpr std::size_t kPage = 4096;
// The kernel takes this many pieces per call (UIO_MAXIOV).
constexpr std::size_t kMaxPieces = 1024;

// One piece per page: the kernel counts whole pieces, so the count is right even where a page in the middle is absent.
std::size_t read_pages(std::uint64_t tid, Address address, std::span<std::byte> out) {
  std::array<iovec, kMaxPieces> pieces;
  std::size_t count = 0;
  std::size_t planned = 0;
  for (; planned < out.size() && count < kMaxPieces; ++count) {
    const Address at = address + planned;
    const std::size_t size = std::min<std::size_t>(kPage - at % kPage, out.size() - planned);
    pieces[count] = {.iov_base = reinterpret_cast<void*>(at), .iov_len = size};
    planned += size;
  }
  const iovec local{.iov_base = out.data(), .iov_len = planned};
  const auto got = ::process_vm_readv(static_cast<pid_t>(tid), &local, 1, pieces.data(), count, 0);
  return got < 0 ? 0 : static_cast<std::size_t>(got);
}

}  // namespace

std::size_t ProcessMemory::read_up_to(Address address, std::span<std::byte> out) {
  if (const Address room = Address{0} - address; address != 0 && out.size() > room) out = out.first(room);
  std::size_t done = 0;
  while (done < out.size()) {
    std::size_t got = read_pages(tid_, address + done, out.subspan(done));
    if (got == 0) {
      // To the end of this page only, then the fast way again.
      const auto rest = out.subspan(done, std::min<std::size_t>(out.size() - done, kPage - (address + done) % kPage));
      const auto there = ::pread(mem_.get(), rest.data(), rest.size(), static_cast<off_t>(address + done));
      if (there < 0 && errno == EINTR) continue;
      if (there <= 0) break;
      got = static_cast<std::size_t>(there);
    }
    done += got;
  }
  return done;
}

}  // namespace stacktide

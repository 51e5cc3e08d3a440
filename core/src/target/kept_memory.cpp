#include "target/kept_memory.h"

#include <algorithm>

namespace stacktide {

bool KeptMemory::keep(Address address, std::size_t size, std::size_t limit) {
  if (size > limit || total_ > limit - size) return false;
  std::vector<std::byte> copy(size);
  copy.resize(beneath_.read_up_to(address, copy));
  total_ += copy.size();
  if (!copy.empty()) kept_.insert_or_assign(address, std::move(copy));
  return true;
}

std::size_t KeptMemory::read_up_to(Address address, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const Address at = address + done;
    const auto next = kept_.upper_bound(at);
    std::size_t wanted = out.size() - done;
    // A range that begins at or before here and reaches beyond?
    if (next != kept_.begin()) {
      const auto& [start, copy] = *std::prev(next);
      if (at - start < copy.size()) {
        const auto n = std::min<std::size_t>(wanted, copy.size() - (at - start));
        std::copy_n(copy.begin() + static_cast<std::ptrdiff_t>(at - start), n,
                    out.begin() + static_cast<std::ptrdiff_t>(done));
        done += n;
        continue;
      }
    }
    if (next != kept_.end()) wanted = std::min<std::size_t>(wanted, next->first - at);
    const auto got = beneath_.read_up_to(at, out.subspan(done, wanted));
    done += got;
    if (got < wanted) break;
  }
  return done;
}

}  // namespace stacktide

// The descriptor of a hostile target. Its header's magic, own address and checksum are put right, so that mutations get past
// them; and what follows the block in memory is there to be walked into.
#include <zlib.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "descriptor/descriptor.h"
#include "stacktide/abi.h"

namespace {

constexpr stacktide::Address kAddress = 0x10000;

class Block : public stacktide::Memory {
 public:
  explicit Block(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  std::size_t read_up_to(stacktide::Address address, std::span<std::byte> out) override {
    if (address < kAddress || address - kAddress >= bytes_.size()) return 0;
    const std::size_t at = address - kAddress;
    const std::size_t size = std::min(out.size(), bytes_.size() - at);
    std::memcpy(out.data(), bytes_.data() + at, size);
    return size;
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (size != 0) std::memcpy(bytes.data(), data, size);
  if (size >= sizeof(stacktide_header)) {
    stacktide_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.magic = STACKTIDE_MAGIC;
    header.abi_major = STACKTIDE_ABI_MAJOR;
    header.pointer_size = 8;
    header.self_address = kAddress;
    if (header.constant_offset <= size && header.constant_size <= size - header.constant_offset) {
      header.checksum = static_cast<std::uint32_t>(crc32(0, data + header.constant_offset, header.constant_size));
    }
    std::memcpy(bytes.data(), &header, sizeof header);
  }
  Block memory(std::move(bytes));
  (void)stacktide::read_descriptor(memory, kAddress);
  return 0;
}

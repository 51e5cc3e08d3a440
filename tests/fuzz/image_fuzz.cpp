// A hostile executable or library on disk: headers, segments, notes, bytes by address.
#include <array>

#include "elf/image.h"
#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const stacktide::fuzz::MemoryFile file(data, size);
  const auto image = stacktide::Image::open(file.path());
  if (!image) return 0;
  std::array<std::byte, 64> bytes;
  for (const stacktide::ElfSegment& segment : (*image)->segments()) {
    (void)(*image)->read_up_to(segment.address, bytes);
    (void)(*image)->read_up_to(segment.address + segment.memory_size - 1, bytes);
  }
  return 0;
}

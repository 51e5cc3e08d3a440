#include "unwind/unwind_table.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>

#include <string_view>

namespace stacktide {
namespace {

// DW_EH_PE_* of the Linux Standard Base; the only combination that ld, gold, lld and mold write.
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kUnsigned4 = 0x03;
constexpr std::uint8_t kHeaderRelativeSigned4 = 0x3b;
constexpr std::uint8_t kOmitted = 0xff;
constexpr std::uint8_t kSizeMask = 0x07;
constexpr std::uint8_t kSize4 = 0x03;

struct Header {
  std::uint8_t version;
  std::uint8_t frame_encoding;
  std::uint8_t count_encoding;
  std::uint8_t table_encoding;
  std::int32_t frame;
  std::uint32_t count;
};
static_assert(sizeof(Header) == 12);

bool has_section(Image& image, std::string_view wanted) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(image.elf(), &names) != 0) return false;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* name = elf_strptr(image.elf(), names, header.sh_name);
    if (name != nullptr && wanted == name) return true;
  }
  return false;
}

std::string without_table(ImageCache& images, const Module& module) {
  Image* image = module.file.empty() ? nullptr : images.get(module.file);
  if (image == nullptr) return "no unwind tables in memory, and the file of " + module.path + " is not there";
  if (has_section(*image, ".debug_frame") || has_section(*image, ".zdebug_frame"))
    return module.path + " has unwind information in .debug_frame only, which is not read yet";
  return module.path + " has no unwind tables (.eh_frame_hdr)";
}

}  // namespace

UnwindTable find_unwind_table(MemoryView& memory, ImageCache& images, const Module& module) {
  UnwindTable table;
  const std::vector<ElfSegment>& segments = memory.segments_of(module);
  if (segments.empty()) {
    table.problem = "the file of " + module.path + " is not there, and its headers are not in memory";
    return table;
  }
  const ElfSegment* found = nullptr;
  for (const ElfSegment& segment : segments)
    if (segment.type == PT_GNU_EH_FRAME) found = &segment;
  if (found == nullptr) {
    table.problem = without_table(images, module);
    return table;
  }
  table.header = module.load_bias + found->address;
  auto header = memory.read_value<Header>(table.header);
  if (!header) {
    table.problem = "the unwind tables of " + module.path + " cannot be read";
    return table;
  }
  bool known = header->version == kVersion && (header->frame_encoding & kSizeMask) == kSize4 &&
               header->count_encoding == kUnsigned4 && header->table_encoding == kHeaderRelativeSigned4;
  if (!known) {
    table.problem = header->count_encoding == kOmitted || header->table_encoding == kOmitted
                        ? module.path + " has .eh_frame without a search table"
                        : module.path + " has .eh_frame_hdr in an unknown form";
    return table;
  }
  if (found->memory_size < sizeof(Header) || header->count > (found->memory_size - sizeof(Header)) / 8) {
    table.problem = module.path + " has an .eh_frame_hdr that says more than it holds";
    return table;
  }
  table.entries = table.header + sizeof(Header);
  table.count = header->count;
  return table;
}

}  // namespace stacktide

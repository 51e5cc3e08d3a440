#include "symbols/debug_files.h"

#include <gelf.h>
#include <libelf.h>
#include <zlib.h>

#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace stacktide {
namespace {

constexpr std::string_view kRoot = "/usr/lib/debug";

struct DebugLink {
  std::string name;
  std::uint32_t checksum = 0;
};

Elf_Scn* find_section(Image& image, std::string_view wanted) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(image.elf(), &names) != 0) return nullptr;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* name = elf_strptr(image.elf(), names, header.sh_name);
    if (name != nullptr && wanted == name) return section;
  }
  return nullptr;
}

std::optional<std::span<const std::byte>> section_bytes(Image& image, std::string_view wanted) {
  Elf_Scn* section = find_section(image, wanted);
  if (section == nullptr) return std::nullopt;
  Elf_Data* data = elf_rawdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr) return std::span<const std::byte>{};
  return std::span(static_cast<const std::byte*>(data->d_buf), data->d_size);
}

// A zero-terminated name, padded to four bytes, then a CRC-32 of the debug file.
std::optional<DebugLink> debug_link(Image& image) {
  auto bytes = section_bytes(image, ".gnu_debuglink");
  if (!bytes || bytes->size() < 8) return std::nullopt;
  std::size_t length = strnlen(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  std::size_t at = (length + 4) / 4 * 4;
  if (length == 0 || at + 4 > bytes->size()) return std::nullopt;
  DebugLink link;
  link.name.assign(reinterpret_cast<const char*>(bytes->data()), length);
  std::memcpy(&link.checksum, bytes->data() + at, sizeof(link.checksum));
  if (link.name.find('/') != std::string::npos) return std::nullopt;
  return link;
}

std::string folder_of(const std::string& path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

std::optional<std::vector<std::byte>> read_section(Image& image, const char* name, std::uint64_t limit) {
  Elf_Scn* section = find_section(image, name);
  GElf_Shdr header;
  if (section == nullptr || gelf_getshdr(section, &header) == nullptr || header.sh_type == SHT_NOBITS) return std::nullopt;
  if ((header.sh_flags & SHF_COMPRESSED) != 0) {
    GElf_Chdr compressed;
    // The size is the file's own claim: not more than the limit is unpacked.
    if (gelf_getchdr(section, &compressed) == nullptr || compressed.ch_size > limit || elf_compress(section, 0, 0) < 0)
      return std::nullopt;
  }
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr || data->d_size > limit) return std::nullopt;
  const auto* begin = static_cast<const std::byte*>(data->d_buf);
  return std::vector<std::byte>(begin, begin + data->d_size);
}

bool has_section(Image& image, const char* name) { return section_bytes(image, name).has_value(); }

Image* find_debug_file(const Module& module, Image& image, ImageCache& images) {
  const std::string& id = image.build_id();
  if (id.size() > 2) {
    Image* found = images.get(std::string(kRoot) + "/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug");
    if (found != nullptr && found->build_id() == id) return found;
  }
  auto link = debug_link(image);
  if (!link) return nullptr;
  std::string folder = folder_of(module.file);
  const std::vector<std::string> candidates = {folder + "/" + link->name, folder + "/.debug/" + link->name,
                                               std::string(kRoot) + folder_of(module.path) + "/" + link->name};
  for (const std::string& path : candidates) {
    Image* found = path == module.file ? nullptr : images.get(path);
    if (found == nullptr || found == &image) continue;
    if (!id.empty() || !found->build_id().empty()) {
      if (found->build_id() == id) return found;
      continue;
    }
    auto checksum = crc32_z(0, reinterpret_cast<const Bytef*>(found->bytes().data()), found->bytes().size());
    if (checksum == link->checksum) return found;
  }
  return nullptr;
}

}  // namespace stacktide

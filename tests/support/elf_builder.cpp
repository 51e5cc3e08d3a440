#include "support/elf_builder.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace stacktide::test {

Bytes bytes_of(std::string_view text) {
  Bytes result;
  append(result, text);
  return result;
}

void append(Bytes& bytes, std::string_view text) {
  const auto raw = std::as_bytes(std::span(text));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

Bytes note(std::string_view name, std::uint32_t type, std::span<const std::byte> payload, std::size_t alignment) {
  Bytes result;
  const auto pad = [&] { result.resize((result.size() + alignment - 1) / alignment * alignment); };
  append(result, static_cast<std::uint32_t>(name.size() + 1));
  append(result, static_cast<std::uint32_t>(payload.size()));
  append(result, type);
  append(result, name);
  result.push_back(std::byte{0});
  pad();
  result.insert(result.end(), payload.begin(), payload.end());
  pad();
  return result;
}

ElfBuilder::ElfBuilder(std::uint16_t type) {
  std::memcpy(header_.e_ident, ELFMAG, SELFMAG);
  header_.e_ident[EI_CLASS] = ELFCLASS64;
  header_.e_ident[EI_DATA] = ELFDATA2LSB;
  header_.e_ident[EI_VERSION] = EV_CURRENT;
  header_.e_type = type;
  header_.e_machine = EM_X86_64;
  header_.e_version = EV_CURRENT;
  header_.e_ehsize = sizeof(Elf64_Ehdr);
  header_.e_phentsize = sizeof(Elf64_Phdr);
}

std::size_t ElfBuilder::add(std::uint32_t type, Address address, Bytes content, std::uint32_t flags,
                            std::uint64_t memory_size) {
  Segment segment;
  segment.header.p_type = type;
  segment.header.p_flags = flags;
  segment.header.p_vaddr = address;
  segment.header.p_filesz = content.size();
  segment.header.p_memsz = memory_size == 0 ? content.size() : memory_size;
  segment.header.p_align = 4;
  segment.content = std::move(content);
  segments_.push_back(std::move(segment));
  return segments_.size() - 1;
}

std::size_t ElfBuilder::add_headers(Address address, std::uint32_t flags) {
  const std::size_t index = add(PT_LOAD, address, {}, flags);
  segments_[index].covers_headers = true;
  return index;
}

void ElfBuilder::layout() {
  laid_out_ = true;
  header_.e_phoff = segments_.empty() ? 0 : sizeof(Elf64_Ehdr);
  header_.e_phnum = static_cast<std::uint16_t>(segments_.size());
  std::uint64_t offset = sizeof(Elf64_Ehdr) + segments_.size() * sizeof(Elf64_Phdr);
  for (Segment& segment : segments_) {
    if (segment.covers_headers) {
      segment.header.p_offset = 0;
      segment.header.p_filesz = offset;
      if (segment.header.p_memsz < offset) segment.header.p_memsz = offset;
      continue;
    }
    segment.header.p_offset = offset;
    offset += segment.content.size();
  }
}

Bytes ElfBuilder::build() {
  if (!laid_out_) layout();
  Bytes result;
  append(result, header_);
  for (const Segment& segment : segments_) append(result, segment.header);
  for (const Segment& segment : segments_) result.insert(result.end(), segment.content.begin(), segment.content.end());
  return result;
}

std::string ElfBuilder::write(const std::string& path) { return write_file(path, build()); }

std::string write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
  return path;
}

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return bytes_of(text);
}

}  // namespace stacktide::test

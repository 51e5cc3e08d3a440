#include "unwind/memory_view.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

namespace stacktide {
namespace {

constexpr std::uint16_t kMaxProgramHeaders = 256;

// End of [address, address + size), or the highest address when that would wrap.
Address end_of(Address address, std::uint64_t size) {
  Address end = 0;
  return __builtin_add_overflow(address, size, &end) ? ~Address{0} : end;
}

}  // namespace

bool MemoryView::refresh() {
  if (!index_.stale(modules_)) return false;
  index_.rebuild(modules_);
  segments_.clear();
  fixed_.clear();
  passing_.clear();
  return true;
}

void MemoryView::forget() {
  passing_.clear();
  last_fault_.reset();
  if (fixed_.size() > kMaxPages) fixed_.clear();
}

const Module* MemoryView::module_at(Address address) const {
  std::size_t position = index_.find(address);
  return position == ModuleIndex::kNone ? nullptr : &modules_[position];
}

const std::vector<ElfSegment>& MemoryView::segments_of(const Module& module) {
  auto [found, fresh] = segments_.try_emplace(&module);
  if (!fresh) return found->second;
  Image* image = module.file.empty() ? nullptr : images_.get(module.file);
  std::vector<ElfSegment> segments = image != nullptr ? image->segments() : segments_in_memory(module);
  return segments_[&module] = std::move(segments);
}

std::vector<ElfSegment> MemoryView::segments_in_memory(const Module& module) {
  std::vector<ElfSegment> segments;
  auto header = target_.read_value<Elf64_Ehdr>(module.start);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_phentsize != sizeof(Elf64_Phdr) ||
      header->e_phnum > kMaxProgramHeaders)
    return segments;
  std::vector<Elf64_Phdr> headers(header->e_phnum);
  if (!target_.read(end_of(module.start, header->e_phoff), std::as_writable_bytes(std::span(headers)))) return segments;
  for (const Elf64_Phdr& entry : headers)
    segments.push_back({entry.p_type, entry.p_flags, entry.p_vaddr, entry.p_memsz, entry.p_offset, entry.p_filesz});
  return segments;
}

bool MemoryView::immutable(Address address) {
  const Module* module = module_at(address);
  if (module == nullptr) return false;
  for (const ElfSegment& segment : segments_of(*module)) {
    if (segment.type != PT_LOAD || (segment.flags & PF_W) != 0) continue;
    Address start = module->load_bias + segment.address;
    if (address >= start && address < end_of(start, segment.memory_size)) return true;
  }
  return false;
}

std::size_t MemoryView::read_file(Address address, std::span<std::byte> out) {
  const Module* module = module_at(address);
  if (module == nullptr || module->file.empty()) return 0;
  Image* image = images_.get(module->file);
  if (image == nullptr) return 0;
  Address in_file = address - module->load_bias;
  for (const ElfSegment& segment : image->segments()) {
    if (segment.type != PT_LOAD) continue;
    // The kernel maps whole pages: a word that straddles the end of a segment continues with what follows in the file. Where
    // memory goes on as .bss the kernel clears it instead, and the program may have written there: not served.
    std::uint64_t lead = segment.address % kPageSize;
    std::uint64_t length = lead + segment.file_size;
    if (segment.memory_size <= segment.file_size) length = end_of(length, kPageSize - 1) / kPageSize * kPageSize;
    Address start = segment.address - lead;
    if (segment.offset < lead || in_file < start || in_file - start >= length) continue;
    std::uint64_t position = segment.offset - lead + (in_file - start);
    std::size_t count = std::min<std::uint64_t>(out.size(), length - (in_file - start));
    std::span<const std::byte> bytes = image->bytes();
    if (position >= bytes.size()) return 0;
    count = std::min<std::uint64_t>(count, bytes.size() - position);
    std::memcpy(out.data(), bytes.data() + position, count);
    return count;
  }
  return 0;
}

const MemoryView::Page& MemoryView::page_at(Address start) {
  if (auto found = fixed_.find(start); found != fixed_.end()) return found->second;
  if (passing_.size() >= kMaxPages) passing_.clear();
  auto [found, fresh] = passing_.try_emplace(start);
  if (!fresh) return found->second;
  Page& page = found->second;
  page.size = target_.read_up_to(start, page.bytes);
  // A page that the program may write is filled from the file only for bytes asked for and not there (read_up_to below).
  bool fixed = immutable(start);
  if (fixed && page.size < kPageSize) page.size += read_file(start + page.size, std::span(page.bytes).subspan(page.size));
  if (page.size == 0 || !fixed) return page;
  auto kept = fixed_.insert_or_assign(start, page).first;
  passing_.erase(start);
  return kept->second;
}

std::size_t MemoryView::read_up_to(Address address, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    Address at = address + done;
    if (at < address) break;
    const Page& page = page_at(at - at % kPageSize);
    std::size_t offset = at % kPageSize;
    std::size_t wanted = std::min(out.size() - done, kPageSize - offset);
    if (page.size < offset + wanted) {
      // A page that is present in part, with its start missing: ask for exactly these bytes.
      std::span<std::byte> rest = out.subspan(done, wanted);
      std::size_t got = target_.read_up_to(at, rest);
      if (got < wanted) got += read_file(at + got, rest.subspan(got));
      done += got;
      if (got < wanted) break;
      continue;
    }
    std::memcpy(out.data() + done, page.bytes.data() + offset, wanted);
    done += wanted;
  }
  return done;
}

std::optional<std::uint64_t> MemoryView::word(Address address) {
  std::uint64_t value = 0;
  std::size_t done = read_up_to(address, std::as_writable_bytes(std::span(&value, 1)));
  if (done == sizeof(value)) return value;
  last_fault_ = address + done;
  return std::nullopt;
}

}  // namespace stacktide

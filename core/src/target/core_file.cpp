#include "target/core_file.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/procfs.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/printable.h"
#include "elf/elf_headers.h"
#include "target/user_registers.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxThreads = 1U << 20U;
constexpr std::size_t kMaxMappings = 1U << 22U;
constexpr std::size_t kMaxAuxv = 256;

static_assert(sizeof(elf_prstatus) == 336 && sizeof(elf_prpsinfo) == 136, "the layouts that x86-64 kernels write");

void read_segments(CoreContents& core, const std::vector<ElfSegment>& headers) {
  const auto file = core.file.bytes();
  std::uint64_t total = 0;
  std::uint64_t missing = 0;
  const ElfSegment* first_cut = nullptr;
  for (const ElfSegment& header : headers) {
    if (header.type != PT_LOAD) continue;
    // What lies past the end of the address space is nobody's memory.
    const std::uint64_t room = ~header.address;
    const std::uint64_t memory = std::min(header.memory_size, room);
    const std::uint64_t dumped = std::min(header.file_size, memory);
    CoreSegment segment;
    segment.start = header.address;
    segment.dumped = header.address + dumped;
    segment.end = header.address + memory;
    segment.readable = (header.flags & PF_R) != 0;
    segment.writable = (header.flags & PF_W) != 0;
    segment.executable = (header.flags & PF_X) != 0;
    segment.bytes = slice(file, header.offset, dumped);
    core.segments.push_back(segment);
    if (total += dumped; total < dumped) total = ~std::uint64_t{0};
    if (const std::uint64_t cut = dumped - segment.bytes.size(); cut != 0) {
      if (missing += cut; missing < cut) missing = ~std::uint64_t{0};
      if (first_cut == nullptr || header.offset < first_cut->offset) first_cut = &header;
    }
  }
  std::ranges::stable_sort(core.segments, {}, &CoreSegment::start);
  if (first_cut != nullptr) {
    const auto there = slice(file, first_cut->offset, first_cut->file_size).size();
    core.damage.push_back(fmt::format("core is cut short at {:#x}, {} of {} bytes of memory are missing",
                                      first_cut->address + there, missing, total));
  }
}

// NT_FILE: count, unit of the offsets, count times {start, end, offset}, then as many names.
void read_file_note(CoreContents& core, std::span<const std::byte> payload) {
  constexpr std::uint64_t kHeader = 16;
  constexpr std::uint64_t kEntry = 24;
  const auto count = load<std::uint64_t>(payload, 0);
  const auto unit = load<std::uint64_t>(payload, 8);
  if (!count || !unit) return;
  if (*count > (payload.size() - kHeader) / kEntry) {
    core.damage.push_back(
        fmt::format("the core's list of mapped files claims {} entries, more than it has room for", *count));
    return;
  }
  const auto names = slice(payload, kHeader + *count * kEntry, payload.size());
  std::string_view rest(reinterpret_cast<const char*>(names.data()), names.size());
  for (std::uint64_t i = 0; i < *count && core.mappings.size() < kMaxMappings; ++i) {
    const auto name_end = rest.find('\0');
    if (name_end == std::string_view::npos) {
      core.damage.push_back("the core's list of mapped files ends within its names");
      return;
    }
    Mapping mapping;
    mapping.start = *load<std::uint64_t>(payload, kHeader + i * kEntry);
    mapping.end = *load<std::uint64_t>(payload, kHeader + i * kEntry + 8);
    mapping.offset = *load<std::uint64_t>(payload, kHeader + i * kEntry + 16) * *unit;
    mapping.path = rest.substr(0, name_end);
    mapping.deleted = strip_deleted(mapping.path);
    rest.remove_prefix(name_end + 1);
    core.mappings.push_back(std::move(mapping));
  }
}

void read_auxv(CoreContents& core, std::span<const std::byte> payload) {
  for (std::uint64_t at = 0; core.auxv.size() < kMaxAuxv; at += sizeof(Elf64_auxv_t)) {
    const auto entry = load<Elf64_auxv_t>(payload, at);
    if (!entry || entry->a_type == AT_NULL) return;
    core.auxv.emplace(entry->a_type, entry->a_un.a_val);
  }
}

void read_thread(CoreContents& core, std::span<const std::byte> payload) {
  const auto status = load<elf_prstatus>(payload, 0);
  if (!status || core.threads.size() >= kMaxThreads) return;
  static_assert(sizeof status->pr_reg == sizeof(user_regs_struct));
  user_regs_struct registers;
  std::memcpy(&registers, &status->pr_reg, sizeof registers);
  core.threads.push_back({static_cast<std::uint32_t>(status->pr_pid), "", from_user_registers(registers)});
}

void read_notes(CoreContents& core, std::span<const std::byte> block) {
  for_each_note(block, 4, [&](std::string_view name, std::uint32_t type, std::uint64_t, std::span<const std::byte> payload) {
    if (name != "CORE") return true;
    switch (type) {
      case NT_PRSTATUS:
        read_thread(core, payload);
        break;
      case NT_FILE:
        read_file_note(core, payload);
        break;
      case NT_AUXV:
        read_auxv(core, payload);
        break;
      case NT_PRPSINFO:
        if (const auto info = load<elf_prpsinfo>(payload, 0)) {
          core.pid = static_cast<std::uint32_t>(info->pr_pid);
          core.program.assign(info->pr_fname, ::strnlen(info->pr_fname, sizeof info->pr_fname));
        }
        break;
      default:
        break;
    }
    return true;
  });
}

}  // namespace

Result<CoreContents> read_core_file(const std::string& path) {
  CoreContents core;
  core.file = STACKTIDE_TRY(MappedFile::open(path));
  const auto bytes = core.file.bytes();
  const ElfHeader header = STACKTIDE_TRY(parse_elf_header(bytes, path));
  if (header.type != ET_CORE) {
    const char* kind =
        header.type == ET_EXEC || header.type == ET_DYN ? "an executable or library" : "an ELF file of another kind";
    return fail(ErrorCode::not_a_core_file, fmt::format("{} is {}, not a core", path, kind));
  }
  const auto headers = parse_segments(slice(bytes, header.segments_offset, bytes.size()), header.segment_count);
  if (headers.size() < header.segment_count) {
    return fail(ErrorCode::truncated_core, fmt::format("{} ends within its {} program headers", path, header.segment_count));
  }
  read_segments(core, headers);
  for (const ElfSegment& segment : headers) {
    if (segment.type != PT_NOTE) continue;
    const auto block = slice(bytes, segment.offset, segment.file_size);
    if (block.size() < segment.file_size) {
      core.damage.push_back(
          fmt::format("core is cut short within its notes, {} of {} bytes are missing: threads and files may be incomplete",
                      segment.file_size - block.size(), segment.file_size));
    }
    read_notes(core, block);
  }
  // The kernel starts with the thread that crashed.
  if (core.pid == 0 && !core.threads.empty()) core.pid = core.threads.front().tid;
  std::ranges::stable_partition(core.threads, [&](const Thread& thread) { return thread.tid == core.pid; });
  for (Mapping& mapping : core.mappings) {
    const CoreSegment* segment = segment_below(core.segments, mapping.start);
    if (segment != nullptr && mapping.start < segment->end) mapping.executable = segment->executable;
  }
  return core;
}

const CoreSegment* segment_below(const std::vector<CoreSegment>& segments, Address address) {
  const auto after = std::ranges::upper_bound(segments, address, {}, &CoreSegment::start);
  return after == segments.begin() ? nullptr : &*std::prev(after);
}

}  // namespace stacktide

#include "support/core_dump.h"

#include <sys/procfs.h>
#include <sys/user.h>

#include <cstring>

namespace stacktide::test {

Bytes prstatus_note(std::uint32_t tid, Address rip, Address rsp) {
  elf_prstatus status{};
  status.pr_pid = static_cast<pid_t>(tid);
  user_regs_struct registers{};
  registers.rip = rip;
  registers.rsp = rsp;
  std::memcpy(&status.pr_reg, &registers, sizeof registers);
  return note("CORE", NT_PRSTATUS, std::as_bytes(std::span(&status, 1)));
}

Bytes prpsinfo_note(std::uint32_t pid, std::string_view program) {
  elf_prpsinfo info{};
  info.pr_pid = static_cast<pid_t>(pid);
  std::memcpy(info.pr_fname, program.data(), std::min(program.size(), sizeof info.pr_fname - 1));
  return note("CORE", NT_PRPSINFO, std::as_bytes(std::span(&info, 1)));
}

Bytes file_note(const std::vector<FileEntry>& entries) {
  Bytes payload;
  append(payload, std::uint64_t{entries.size()});
  append(payload, std::uint64_t{4096});
  for (const FileEntry& entry : entries) {
    append(payload, entry.start);
    append(payload, entry.end);
    append(payload, entry.page);
  }
  for (const FileEntry& entry : entries) {
    append(payload, entry.path);
    payload.push_back(std::byte{0});
  }
  return note("CORE", NT_FILE, payload);
}

Bytes auxv_note(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& entries) {
  Bytes payload;
  for (const auto& [type, value] : entries) {
    append(payload, type);
    append(payload, value);
  }
  append(payload, std::uint64_t{AT_NULL});
  append(payload, std::uint64_t{0});
  return note("CORE", NT_AUXV, payload);
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes result;
  for (const Bytes& part : parts) result.insert(result.end(), part.begin(), part.end());
  return result;
}

Bytes module_page(std::string_view build_id, std::uint16_t type) {
  const Address base = type == ET_EXEC ? 0x400000 : 0;
  const Bytes id = build_id.empty() ? Bytes() : note("GNU", NT_GNU_BUILD_ID, bytes_of(build_id));
  ElfBuilder builder(type);
  const auto headers = builder.add_headers(base, PF_R);
  const auto notes = builder.add(PT_NOTE, 0, id);
  const auto text = builder.add(PT_LOAD, base + 0x1000, {}, PF_R | PF_X, 0x1000);
  const auto data = builder.add(PT_LOAD, base + 0x2000, {}, PF_R | PF_W, 0x1000);
  builder.layout();
  builder.header().e_entry = base + 0x1000;
  builder.segment(headers).p_filesz = builder.segment(headers).p_memsz = 0x1000;
  builder.segment(notes).p_vaddr = base + builder.segment(notes).p_offset;
  for (const auto index : {text, data}) {
    builder.segment(index).p_offset = builder.segment(index).p_vaddr - base;
    builder.segment(index).p_filesz = 0x1000;
  }
  Bytes page = builder.build();
  page.resize(0x1000);
  return page;
}

}  // namespace stacktide::test

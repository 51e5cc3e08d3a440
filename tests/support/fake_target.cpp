#include "support/fake_target.h"

#include <elf.h>

#include "stacktide/abi.h"
#include "support/elf_builder.h"

namespace stacktide::test {

void FakeTarget::add_module_with_note(Address start, Address descriptor) {
  // Header (64 bytes) and two program headers (56 each) come first; the note's payload follows its own 12 + 12 bytes.
  constexpr Address kNoteOffset = 64 + 2 * 56;
  constexpr Address kPayloadOffset = kNoteOffset + 24;
  const auto distance = static_cast<std::int64_t>(descriptor - (start + kPayloadOffset));
  Bytes payload;
  append(payload, distance);
  const auto block = note(STACKTIDE_NOTE_NAME, STACKTIDE_NOTE_TYPE, payload);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  const Elf64_Phdr load{PT_LOAD, PF_R, 0, 0, 0, 0x1000, 0x1000, 0x1000};
  const Elf64_Phdr notes{PT_NOTE, PF_R, kNoteOffset, kNoteOffset, kNoteOffset, block.size(), block.size(), 4};
  memory_.put_bytes(start, std::vector<std::byte>(0x1000));
  memory_.put(start, header);
  memory_.put(start + sizeof header, load);
  memory_.put(start + sizeof header + sizeof load, notes);
  memory_.put_bytes(start + kNoteOffset, block);
  modules_.push_back({"/usr/bin/fake", "", start, start, start + 0x1000, "", "the file is gone"});
}

void FakeTarget::add_thread(std::uint64_t tid, Address pc, Address sp) {
  Thread thread;
  thread.tid = tid;
  thread.registers.set(Register::rip, pc);
  thread.registers.set(Register::rsp, sp);
  threads_.push_back(thread);
}

}  // namespace stacktide::test

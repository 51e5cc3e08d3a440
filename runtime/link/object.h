// x86-64 ELF files, relocatable objects and linked programs, and the archives that hold objects, as stacktide-link sees
// them.
//
// Concept. A link touches many files and needs little of each: section names and flags, global symbols, and the relocations
// of executable sections. So files are mapped and read in place. Every offset, size and index comes from the file and is
// checked against it before use; a broken file is an error with its name, never a crash.
//
// Lifetime: an Object and everything it returns (names, spans) points into the MappedFile it was parsed from.
//
// Rejected: BFD (one header per build of binutils, GPL, large) and libelf (copies sections, hides bounds; <elf.h> suffices).
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stacktide::link {

// The error is one line for the user, without the program's name and without a final newline.
template <class T>
using Result = std::expected<T, std::string>;

using Bytes = std::span<const std::byte>;

// A file mapped read-only; empty files give an empty span.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept : bytes_(other.bytes_) { other.bytes_ = {}; }
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();
  Bytes bytes() const { return bytes_; }

 private:
  explicit MappedFile(Bytes bytes) : bytes_(bytes) {}
  Bytes bytes_;
};

bool is_relocatable_elf(Bytes bytes);
bool is_program(Bytes bytes);  // an executable, position-independent or not
bool is_archive(Bytes bytes);

struct Symbol {
  std::string_view name;
  bool defined;
  bool weak;
  bool function;
  std::uint32_t section;  // index; of no meaning unless `placed`
  bool placed;            // defined in a section, so not undefined, absolute or common
  std::uint64_t value;
  std::uint64_t size;
};

class Object {
 public:
  // Checks the headers and the string tables of an object, or of a program, whose symbols' values are addresses. `name` is
  // used in errors: "libfoo.a(bar.o)".
  static Result<Object> parse(Bytes bytes, std::string name);

  const std::string& name() const { return name_; }
  Bytes bytes() const { return bytes_; }

  std::span<const Elf64_Shdr> sections() const { return sections_; }
  std::string_view section_name(const Elf64_Shdr& section) const;
  bool has_section(std::string_view name) const;
  // The bytes of a section; empty for SHT_NOBITS.
  Bytes contents(const Elf64_Shdr& section) const;

  std::size_t symbol_count() const { return symbols_.size() / sizeof(Elf64_Sym); }
  // index < symbol_count().
  Symbol symbol(std::size_t index) const;
  // Index of the first symbol that is not local.
  std::size_t first_global() const { return first_global_; }

  // Calls visit(section, code, relocation) for each relocation of an executable section: the section's index and contents.
  // False, before the relocations in question, when the file is damaged.
  template <class Visit>
  bool each_code_relocation(Visit visit) const;

  // The name of symbol `index` of a symbol table (.dynsym, which symbol() does not read); "" when there is none.
  std::string_view symbol_name(const Elf64_Shdr& table, std::uint64_t index) const;

  // The function whose extent covers `offset` in section `index`, demangled; "code" when no symbol says.
  std::string function_at(std::size_t section_index, std::uint64_t offset) const;

 private:
  Object(Bytes bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  Bytes bytes_;
  std::string name_;
  std::vector<Elf64_Shdr> sections_;  // copied: archive members are only 2-aligned
  std::string_view section_names_;
  Bytes symbols_;
  std::string_view symbol_names_;
  std::size_t first_global_ = 0;
};

template <class Visit>
bool Object::each_code_relocation(Visit visit) const {
  for (const Elf64_Shdr& section : sections_) {
    if (section.sh_type != SHT_RELA || section.sh_entsize != sizeof(Elf64_Rela)) continue;
    if (section.sh_info >= sections_.size()) return false;
    const Elf64_Shdr& target = sections_[section.sh_info];
    if ((target.sh_flags & SHF_EXECINSTR) == 0) continue;
    const Bytes table = contents(section);
    for (std::size_t at = 0; at + sizeof(Elf64_Rela) <= table.size(); at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      std::memcpy(&relocation, table.data() + at, sizeof(relocation));
      if (ELF64_R_SYM(relocation.r_info) >= symbol_count()) return false;
      visit(std::size_t{section.sh_info}, contents(target), relocation);
    }
  }
  return true;
}

struct Member {
  std::string name;  // file name as the archive has it
  Bytes bytes;
};

// The members of an archive, index and string tables left out. A thin archive's members are files beside it: they are
// mapped and kept in `files`, which must outlive the result.
Result<std::vector<Member>> archive_members(Bytes archive, const std::filesystem::path& path,
                                            std::vector<MappedFile>& files);

std::string demangle(std::string_view symbol);

// Demangled, for messages: a template's name may fill a screen, and is cut.
std::string readable(std::string_view symbol);

}  // namespace stacktide::link

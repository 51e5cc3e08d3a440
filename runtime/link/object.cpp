#include "object.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

namespace stacktide::link {
namespace {

std::optional<Bytes> slice(Bytes bytes, std::uint64_t offset, std::uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(offset, size);
}

std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// The NUL-terminated string at `offset`; "" when it would leave the table.
std::string_view string_at(std::string_view table, std::uint64_t offset) {
  if (offset >= table.size()) return {};
  const std::string_view rest = table.substr(offset);
  const std::size_t end = rest.find('\0');
  return end == std::string_view::npos ? std::string_view{} : rest.substr(0, end);
}

template <class T>
T load(Bytes bytes, std::size_t offset = 0) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(path.string() + ": " + std::strerror(errno));
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd);
    return std::unexpected(path.string() + ": not a regular file");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) {
    close(fd);
    return MappedFile(Bytes{});
  }
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  close(fd);
  if (address == MAP_FAILED) return std::unexpected(path.string() + ": " + std::strerror(error));
  return MappedFile(Bytes{static_cast<const std::byte*>(address), size});
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

namespace {

// ET_NONE for what is no ELF file of this machine.
unsigned elf_type(Bytes bytes) {
  if (bytes.size() < sizeof(Elf64_Ehdr)) return ET_NONE;
  const auto header = load<Elf64_Ehdr>(bytes);
  const bool ours = std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
                    header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_X86_64;
  return ours ? header.e_type : ET_NONE;
}

}  // namespace

bool is_relocatable_elf(Bytes bytes) { return elf_type(bytes) == ET_REL; }

bool is_program(Bytes bytes) { return elf_type(bytes) == ET_EXEC || elf_type(bytes) == ET_DYN; }

bool is_archive(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  return text.starts_with("!<arch>\n") || text.starts_with("!<thin>\n");
}

Result<Object> Object::parse(Bytes bytes, std::string name) {
  Object object(bytes, std::move(name));
  const auto broken = [&](const char* what) { return std::unexpected(object.name_ + ": damaged object file: " + what); };
  if (!is_relocatable_elf(bytes) && !is_program(bytes)) return broken("not an x86-64 relocatable");
  const auto header = load<Elf64_Ehdr>(bytes);
  if (header.e_shoff == 0) return object;
  if (header.e_shentsize != sizeof(Elf64_Shdr)) return broken("section header size");
  const auto first = slice(bytes, header.e_shoff, sizeof(Elf64_Shdr));
  if (!first) return broken("section headers lie outside");
  // Beyond 0xff00 sections the counts move into section 0.
  const auto zero = load<Elf64_Shdr>(*first);
  const std::uint64_t count = header.e_shnum != 0 ? header.e_shnum : zero.sh_size;
  const std::uint64_t names = header.e_shstrndx != SHN_XINDEX ? header.e_shstrndx : zero.sh_link;
  if (count > bytes.size() / sizeof(Elf64_Shdr)) return broken("section count");
  const auto table = slice(bytes, header.e_shoff, count * sizeof(Elf64_Shdr));
  if (!table || names >= count) return broken("section headers lie outside");
  object.sections_.resize(count);
  std::memcpy(object.sections_.data(), table->data(), table->size());
  for (const Elf64_Shdr& section : object.sections_) {
    if (section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL) continue;
    if (!slice(bytes, section.sh_offset, section.sh_size)) return broken("a section lies outside");
  }
  object.section_names_ = as_text(object.contents(object.sections_[names]));
  for (const Elf64_Shdr& section : object.sections_) {
    if (section.sh_type != SHT_SYMTAB) continue;
    if (section.sh_entsize != sizeof(Elf64_Sym) || section.sh_link >= count) return broken("symbol table");
    object.symbols_ = object.contents(section);
    object.symbol_names_ = as_text(object.contents(object.sections_[section.sh_link]));
    object.first_global_ = std::min<std::size_t>(section.sh_info, object.symbol_count());
    break;
  }
  return object;
}

std::string_view Object::section_name(const Elf64_Shdr& section) const { return string_at(section_names_, section.sh_name); }

bool Object::has_section(std::string_view name) const {
  return std::ranges::any_of(sections_, [&](const Elf64_Shdr& section) { return section_name(section) == name; });
}

Bytes Object::contents(const Elf64_Shdr& section) const {
  if (section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL) return {};
  return slice(bytes_, section.sh_offset, section.sh_size).value_or(Bytes{});
}

Symbol Object::symbol(std::size_t index) const {
  const auto raw = load<Elf64_Sym>(symbols_, index * sizeof(Elf64_Sym));
  const unsigned type = ELF64_ST_TYPE(raw.st_info);
  return {.name = string_at(symbol_names_, raw.st_name),
          .defined = raw.st_shndx != SHN_UNDEF,
          .weak = ELF64_ST_BIND(raw.st_info) == STB_WEAK,
          .function = type == STT_FUNC || type == STT_GNU_IFUNC,
          .section = raw.st_shndx,
          .placed = raw.st_shndx != SHN_UNDEF && raw.st_shndx < SHN_LORESERVE,
          .value = raw.st_value,
          .size = raw.st_size};
}

std::string_view Object::symbol_name(const Elf64_Shdr& table, std::uint64_t index) const {
  const Bytes symbols = contents(table);
  if (table.sh_link >= sections_.size() || index >= symbols.size() / sizeof(Elf64_Sym)) return {};
  const auto raw = load<Elf64_Sym>(symbols, index * sizeof(Elf64_Sym));
  return string_at(as_text(contents(sections_[table.sh_link])), raw.st_name);
}

std::string Object::function_at(std::size_t section_index, std::uint64_t offset) const {
  for (std::size_t i = 0; i < symbol_count(); ++i) {
    const Symbol candidate = symbol(i);
    if (candidate.function && candidate.placed && candidate.section == section_index && offset >= candidate.value &&
        offset - candidate.value < candidate.size) {
      return demangle(candidate.name);
    }
  }
  return "code";
}

Result<std::vector<Member>> archive_members(Bytes archive, const std::filesystem::path& path,
                                            std::vector<MappedFile>& files) {
  struct Header {
    char name[16], date[12], uid[6], gid[6], mode[8], size[10], end[2];
  };
  static_assert(sizeof(Header) == 60);
  const auto broken = [&] { return std::unexpected(path.string() + ": damaged archive"); };
  const bool thin = as_text(archive).starts_with("!<thin>\n");
  std::vector<Member> members;
  std::string_view long_names;
  std::uint64_t at = 8;
  while (at < archive.size()) {
    const auto raw = slice(archive, at, sizeof(Header));
    if (!raw) return broken();
    const auto header = load<Header>(*raw);
    const std::string size_text(header.size, sizeof(header.size));
    char* end = nullptr;
    const std::uint64_t size = std::strtoull(size_text.c_str(), &end, 10);
    if (end == size_text.c_str()) return broken();
    std::string_view name(as_text(*raw).substr(0, sizeof(header.name)));
    name = name.substr(0, name.find_last_not_of(' ') + 1);
    const bool special = name == "/" || name == "//" || name == "/SYM64/";
    const bool outside = thin && !special;
    at += sizeof(Header);
    const auto body = outside ? Bytes{} : slice(archive, at, size);
    if (!body) return broken();
    if (name == "//") long_names = as_text(*body);
    if (!special) {
      if (name.size() > 1 && name[0] == '/') {  // "/123": offset in the table of long names, which ends names with "/\n"
        const std::uint64_t offset = std::strtoull(std::string(name.substr(1)).c_str(), nullptr, 10);
        if (offset >= long_names.size()) return broken();
        name = long_names.substr(offset);
        name = name.substr(0, name.find('\n'));
      }
      if (name.ends_with('/')) name.remove_suffix(1);
      Member member{std::string(name), *body};
      if (outside) {
        auto file = MappedFile::open(path.parent_path() / member.name);
        if (!file) return std::unexpected(path.string() + ": " + file.error());
        member.bytes = file->bytes();
        files.push_back(std::move(*file));
      }
      members.push_back(std::move(member));
    }
    if (!outside) at += size + (size & 1);
  }
  return members;
}

std::string demangle(std::string_view symbol) {
  const std::string name(symbol);
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                         &std::free);
  return text ? std::string(text.get()) : name;
}

std::string readable(std::string_view symbol) {
  constexpr std::size_t kMost = 120;
  const std::string name = demangle(symbol);
  return name.size() <= kMost ? name : name.substr(0, kMost) + "...";
}

}  // namespace stacktide::link

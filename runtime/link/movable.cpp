#include "movable.h"

#include <cstring>

namespace stacktide::link {

Result<std::string> with_code_in(const Object& object, std::string_view section_name) {
  std::string file(reinterpret_cast<const char*>(object.bytes().data()), object.bytes().size());
  Elf64_Ehdr header;
  if (file.size() < sizeof(header)) return std::unexpected(object.name() + ": damaged object file");
  std::memcpy(&header, file.data(), sizeof(header));
  const auto sections = object.sections();
  const std::size_t names = header.e_shstrndx != SHN_XINDEX ? header.e_shstrndx : sections[0].sh_link;
  if (names >= sections.size()) return std::unexpected(object.name() + ": damaged object file");

  const Bytes old_names = object.contents(sections[names]);
  const std::size_t table_at = file.size();
  file.append(reinterpret_cast<const char*>(old_names.data()), old_names.size());
  const std::size_t name_at = file.size() - table_at;
  file.append(section_name);
  file.push_back('\0');
  const std::size_t table_size = file.size() - table_at;

  for (std::size_t i = 0; i < sections.size(); ++i) {
    Elf64_Shdr section = sections[i];
    if (i == names) {
      section.sh_offset = table_at;
      section.sh_size = table_size;
    } else if ((section.sh_flags & SHF_EXECINSTR) != 0) {
      section.sh_name = static_cast<Elf64_Word>(name_at);
    } else {
      continue;
    }
    // Object::parse has checked that the whole table lies inside the file.
    std::memcpy(file.data() + header.e_shoff + i * sizeof(section), &section, sizeof(section));
  }
  return file;
}

}  // namespace stacktide::link

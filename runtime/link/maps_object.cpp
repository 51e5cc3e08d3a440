#include "maps_object.h"

#include <array>
#include <system_error>
#include <utility>

#include "movable.h"
#include "program.h"
#include "stacktide/stack_map.h"
#include "thunks.h"

namespace stacktide::link {
namespace {

namespace fs = std::filesystem;

// What the assembler is to include, beside the text.
constexpr const char* kSites = "maps.sites";
constexpr const char* kShapes = "maps.shapes";
constexpr const char* kNames = "maps.names";

bool holds(const fs::path& path, std::string_view bytes) {
  const auto file = MappedFile::open(path);
  return file && std::string_view(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()) == bytes;
}

std::string numbers(std::string_view directive, std::initializer_list<std::uint64_t> values) {
  std::string line = "\t" + std::string(directive) + " ";
  for (const std::uint64_t value : values) line += std::to_string(value) + ",";
  line.back() = '\n';
  return line;
}

std::string include(const fs::path& file) {
  std::string quoted;
  for (const char c : file.string()) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return "\t.incbin \"" + quoted + "\"\n";
}

std::string assembly(const fs::path& directory, const StackMaps& maps) {
  const std::uint64_t regions = maps.regions.size() * sizeof(stacktide_map_region);
  const std::uint64_t sites_at = sizeof(stacktide_maps_header) + regions;
  const std::uint64_t shapes_at = sites_at + maps.sites.size();
  std::string text = "# Made by stacktide-link from the linked program (stack_map.h).\n";
  text += "\t.section " STACKTIDE_MAPS_SECTION ",\"a\",@progbits\n\t.p2align 3\n";
  text += "\t.globl " STACKTIDE_MAPS_SYMBOL "\n\t.hidden " STACKTIDE_MAPS_SYMBOL "\n\t.type " STACKTIDE_MAPS_SYMBOL
          ", @object\n" STACKTIDE_MAPS_SYMBOL ":\n";
  text += numbers(".long", {STACKTIDE_MAPS_MAGIC});
  text += numbers(".short", {STACKTIDE_MAPS_VERSION, sizeof(stacktide_maps_header)});
  text +=
      numbers(".long", {shapes_at + maps.shapes.size(), sizeof(stacktide_maps_header), maps.regions.size(), sites_at,
                        maps.sites.size() / sizeof(stacktide_map_site), shapes_at, maps.shapes.size(), maps.pinned_sites});
  for (const StackMaps::Region& region : maps.regions) {
    text += "\t.quad " + std::string(kMapsAnchor) + " - . + " + std::to_string(region.from_anchor) + "\n";
    text += numbers(".long", {region.size, region.first_site, region.site_count, 0});
  }
  if (!maps.sites.empty()) text += include(directory / kSites);
  if (!maps.shapes.empty()) text += include(directory / kShapes);
  text += "\t.size " STACKTIDE_MAPS_SYMBOL ", .-" STACKTIDE_MAPS_SYMBOL "\n";
  text +=
      "\t.globl " STACKTIDE_MAPS_SYMBOL "_end\n\t.hidden " STACKTIDE_MAPS_SYMBOL "_end\n" STACKTIDE_MAPS_SYMBOL "_end:\n";
  if (!maps.names.empty()) {
    text += "\t.section " STACKTIDE_NAMES_SECTION ",\"\",@progbits\n\t.p2align 3\n";
    text += include(directory / kNames);
  }
  return text +
         "\t.section .note.GNU-split-stack,\"\",@progbits\n\t.section .note.GNU-no-split-stack,\"\",@progbits\n"
         "\t.section .note.GNU-stack,\"\",@progbits\n";
}

}  // namespace

Result<bool> write_maps_object(const std::string& driver, const fs::path& directory, const StackMaps& maps) {
  bool changed = false;
  const std::array parts = {std::pair(kSites, &maps.sites), std::pair(kShapes, &maps.shapes),
                            std::pair(kNames, &maps.names)};
  for (const auto& [name, bytes] : parts) changed = changed || !holds(directory / name, *bytes);
  // What ends in between must not leave an object that is taken for one of the new parts.
  std::error_code ignored;
  if (changed) fs::remove(directory / "maps.o", ignored);
  for (const auto& [name, bytes] : parts) {
    if (auto done = write_if_changed(directory / name, *bytes); !done) return std::unexpected(done.error());
  }
  const auto object = assemble(driver, directory, "maps", assembly(directory, maps), changed);
  if (!object) return std::unexpected(object.error());
  return object->second;
}

Result<fs::path> first_maps_object(const std::string& driver, const fs::path& directory) {
  const fs::path object = directory / "maps.o";
  std::error_code ignored;
  if (fs::exists(object, ignored)) return object;
  if (auto done = write_maps_object(driver, directory, {}); !done) return std::unexpected(done.error());
  return object;
}

Result<CodeLayout> code_layout(const fs::path& path) {
  const auto file = MappedFile::open(path);
  if (!file) return std::unexpected(file.error());
  const auto object = Object::parse(file->bytes(), path.string());
  if (!object) return std::unexpected(object.error());
  const Program program(*object);
  CodeLayout layout;
  const auto anchors = program.addresses_of(kMapsAnchor);
  const std::uint64_t anchor = anchors.empty() ? 0 : anchors.front();
  for (const std::string_view name : {kMovableSection, kPinnedSection}) {
    const Range range = program.section(name);
    layout.lines.push_back(std::string(name) + " " + std::to_string(range.hi - range.lo) + " " +
                           (range.lo == range.hi ? "" : std::to_string(static_cast<std::int64_t>(range.lo - anchor))));
    for (const ProgramFunction& function : program.functions()) {
      if (range.contains(function.begin))
        layout.lines.push_back(std::to_string(function.begin - range.lo) + " " +
                               std::to_string(function.end - function.begin) + " " + std::string(function.name));
    }
  }
  return layout;
}

}  // namespace stacktide::link

// stacktide-maps: what the stack maps of a program say, made anew from its code and debug information.
//
// Reads the program and writes nothing: maps are put into a program when it is linked (maps_object.h).
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "program.h"
#include "stack_maps.h"
#include "stacktide/stack_map.h"

namespace {

constexpr const char* kHelp = R"(usage: stacktide-maps [--stats] [--explain] [--check] PROGRAM

Makes the stack maps of a linked goroutine program from its CFI and DWARF, and prints what they cover.

  --stats    functions, call sites, words by kind, size (this is the default)
  --explain  each function of MOVABLE code that is pinned all the same: function, variable, type
  --check    exit with 1 when the maps in PROGRAM are not these
  --help     print this text

  $ stacktide-maps --explain ./server
Exit status: 0; 1 when --check finds a difference; 2 when PROGRAM cannot be used, with the reason.
)";

int fail(const std::string& reason) {
  std::fprintf(stderr, "stacktide-maps: %s\n", reason.c_str());
  return 2;
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

void print_statistics(const stacktide::link::StackMaps& maps) {
  const auto& all = maps.statistics;
  std::uint64_t words = 0;
  for (const std::uint64_t count : all.words) words += count;
  std::printf("functions   %lu with calls, %lu of them pinned by what they hold\n", all.functions, all.pinned);
  std::printf("call sites  %lu, %lu with a map (%.1f %%), %lu shapes\n", all.sites, all.mapped,
              percent(all.mapped, all.sites), all.shapes);
  constexpr const char* kKinds[] = {"return address", "saved register", "pointer", "scalar", "unknown"};
  for (std::size_t i = 0; i < all.words.size(); ++i)
    std::printf("%s%-14s  %lu (%.1f %%)\n", i == 0 ? "words       " : "            ", kKinds[i], all.words[i],
                percent(all.words[i], words));
  const std::uint64_t size = sizeof(stacktide_maps_header) + maps.regions.size() * sizeof(stacktide_map_region) +
                             maps.sites.size() + maps.shapes.size();
  std::printf("size        %lu bytes loaded, %.1f %% of the program without them; %zu bytes of names for debuggers\n", size,
              percent(size, all.loaded), maps.names.size());
}

void print_pins(const stacktide::link::StackMaps& maps) {
  for (const auto& pin : maps.pins) {
    if (pin.variable.empty()) std::printf("%s: %s\n", pin.function.c_str(), pin.type.c_str());
    else std::printf("%s: %s: %s\n", pin.function.c_str(), pin.variable.c_str(), pin.type.c_str());
  }
  std::printf("%lu of %lu functions are pinned by what they hold\n", maps.statistics.pinned, maps.statistics.functions);
}

// Does the program hold these maps, to the byte?
stacktide::link::Result<bool> holds(const std::string& path, const stacktide::link::StackMaps& maps) {
  const auto file = stacktide::link::MappedFile::open(path);
  if (!file) return std::unexpected(file.error());
  const auto object = stacktide::link::Object::parse(file->bytes(), path);
  if (!object) return std::unexpected(object.error());
  const stacktide::link::Program program(*object);
  const auto block = program.code(STACKTIDE_MAPS_SECTION);
  const std::string tail = maps.sites + maps.shapes;
  const std::string_view bytes(reinterpret_cast<const char*>(block.data()), block.size());
  const auto names = program.code(STACKTIDE_NAMES_SECTION);
  return bytes.ends_with(tail) && std::string_view(reinterpret_cast<const char*>(names.data()), names.size()) == maps.names;
}

}  // namespace

int main(int argc, char** argv) {
  bool statistics = false;
  bool explain = false;
  bool check = false;
  std::string program;
  for (const std::string& word : std::vector<std::string>(argv + 1, argv + argc)) {
    if (word == "--help" || word == "-h") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    if (word == "--stats") statistics = true;
    else if (word == "--explain") explain = true;
    else if (word == "--check") check = true;
    else if (word.starts_with('-')) return fail("unknown option " + word + " (see --help)");
    else if (!program.empty()) return fail("one program at a time, not " + program + " and " + word);
    else program = word;
  }
  if (program.empty()) return fail("which program? (see --help)");
  const auto maps = stacktide::link::make_stack_maps(program, true);
  if (!maps) return fail(maps.error());
  if (maps->regions.empty()) return fail(program + ": no goroutine code: it was not linked by stacktide-link");
  if (statistics || (!explain && !check)) print_statistics(*maps);
  if (explain) print_pins(*maps);
  if (!check) return 0;
  const auto same = holds(program, *maps);
  if (!same) return fail(same.error());
  std::printf("the maps in %s are %s\n", program.c_str(), *same ? "these" : "others: link it again");
  return *same ? 0 : 1;
}

#include "flags.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace stacktide::link {
namespace {

// One flag of stacktide_goroutines() and its rivals: all that begin with `stem` after -f, -m, -fno- or -mno-.
struct Needed {
  std::string_view stem;
  std::string_view flag;
  bool movable_only;
  std::string_view why;
};

constexpr std::array kNeeded = {
    Needed{"cf-protection", "-fcf-protection=none", false, "the stack check must be a function's first instruction"},
    Needed{"stack-reuse=", "-fstack-reuse=none", false, "two variables in one place of a frame cannot be told apart"},
    Needed{"lifetime-dse", "-fno-lifetime-dse", false,
           "a temporary with a destructor and a variable in one place of a frame cannot be told apart"},
    Needed{"var-tracking", "-fvar-tracking", true, "stack maps are made from the places of variables that it finds"},
    Needed{"reorder-blocks-and-partition", "-fno-reorder-blocks-and-partition", false,
           "debuggers lose their way in functions of two parts"},
    Needed{"accumulate-outgoing-args", "-maccumulate-outgoing-args", false,
           "the stack check does not count arguments that are pushed"},
    Needed{"ivopts", "-fno-ivopts", true,
           "it keeps pointers outside their objects, which a move of the stack does not find"},
};

bool is_of_family(std::string_view word, std::string_view stem) {
  if (!word.starts_with("-f") && !word.starts_with("-m")) return false;
  word.remove_prefix(2);
  if (word.starts_with("no-")) word.remove_prefix(3);
  return stem.ends_with('=') || stem == "cf-protection" || stem == "lifetime-dse" ? word.starts_with(stem) : word == stem;
}

// The last word of `options` of this family; "" when there is none.
std::string_view last_of_family(std::string_view options, std::string_view stem) {
  std::string_view last;
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(' '), options.size());
    if (is_of_family(options.substr(0, end), stem)) last = options.substr(0, end);
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return last;
}

Result<void> check_options(const Object& object, std::string_view options, bool movable) {
  for (const Needed& needed : kNeeded) {
    const std::string_view found = last_of_family(options, needed.stem);
    if (found.empty() || found == needed.flag || found == "-fcf-protection=return" || (needed.movable_only && !movable))
      continue;
    return std::unexpected(object.name() + " is compiled with " + std::string(found) + ", after or without " +
                           std::string(needed.flag) + ": " + std::string(needed.why) +
                           "; set flags before stacktide_goroutines(), or leave this one out");
  }
  return {};
}

// .note.gnu.property says that every branch target begins with endbr64 (IBT).
bool has_branch_tracking(const Object& object) {
  constexpr std::uint32_t kFeatures = 0xc0000002;  // GNU_PROPERTY_X86_FEATURE_1_AND
  for (const Elf64_Shdr& section : object.sections()) {
    if (object.section_name(section) != ".note.gnu.property") continue;
    const Bytes note = object.contents(section);
    // Name size, property size, type, "GNU"; then properties {type, size, data}, each a multiple of 8 long.
    for (std::size_t at = 16; at + 12 <= note.size();) {
      std::array<std::uint32_t, 3> property{};
      std::memcpy(property.data(), note.data() + at, 12);
      if (property[0] == kFeatures && (property[2] & 1) != 0) return true;
      at += 8 + ((std::size_t{property[1]} + 7) & ~std::size_t{7});
    }
  }
  return false;
}

}  // namespace

Result<void> check_flags(const Object& object, bool movable) {
  for (const Elf64_Shdr& section : object.sections()) {
    if (object.section_name(section) != ".debug_str" || (section.sh_flags & SHF_COMPRESSED) != 0) continue;
    const Bytes bytes = object.contents(section);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\0'), text.size());
      const std::string_view entry = text.substr(0, end);
      if (entry.starts_with("GNU C") && entry.contains(" -fsplit-stack")) {
        if (auto done = check_options(object, entry, movable); !done) return done;
      }
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  if (has_branch_tracking(object)) return check_options(object, "-fcf-protection=branch", movable);
  return {};
}

bool uses_thread_sanitizer(const Object& object) {
  for (std::size_t i = object.first_global(); i < object.symbol_count(); ++i) {
    const Symbol symbol = object.symbol(i);
    if (!symbol.defined && symbol.name.starts_with("__tsan_")) return true;
  }
  return false;
}

}  // namespace stacktide::link

// Separate debug files, where distributions put them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "elf/image.h"
#include "stacktide/core/target.h"

namespace stacktide {

// The image with DWARF or a full symbol table for `module`: a file under /usr/lib/debug by build-id, or the one that
// .gnu_debuglink names. A file of another build is not taken. nullptr when there is none.
Image* find_debug_file(const Module& module, Image& image, ImageCache& images);

// The contents of a section, decompressed if need be; nothing when there is none of that name, or it has no bytes in the
// file.
std::optional<std::vector<std::byte>> read_section(Image& image, const char* name, std::uint64_t limit);

bool has_section(Image& image, const char* name);

}  // namespace stacktide

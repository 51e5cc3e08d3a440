// Separate debug files, where distributions put them.
#pragma once

#include <string>

#include "elf/image.h"
#include "stacktide/core/target.h"

namespace stacktide {

// The image with DWARF or a full symbol table for `module`: a file under /usr/lib/debug by build-id, or the one that
// .gnu_debuglink names. A file of another build is not taken. nullptr when there is none.
Image* find_debug_file(const Module& module, Image& image, ImageCache& images);

bool has_section(Image& image, const char* name);

}  // namespace stacktide

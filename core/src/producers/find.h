// Finds the descriptor that some runtime in the target exports.
//
// Concept. Each module is asked in turn, main executable first: for the ELF note in its mapped first page (which a core has
// even when the executable is gone), then for the note in its file, then for the symbol. There may be several runtimes and
// several copies of one; the first descriptor that validates is taken.
//
// Rejected: scanning all writable memory for the magic. It reads the whole target, and finds nothing that the note does not.
#pragma once

#include <string>

#include "descriptor/descriptor.h"
#include "elf/image.h"
#include "symbols/symbolizer.h"

namespace stacktide {

struct FoundDescriptor {
  Descriptor descriptor;
  std::string producer;  // "note in /path/park"
};

// Errors: no_runtime when no module points to a descriptor; otherwise what was wrong with the first one pointed to.
Result<FoundDescriptor> find_descriptor(Target& target, ImageCache& images, Symbolizer& symbolizer);

}  // namespace stacktide

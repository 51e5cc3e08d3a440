// Brings a program's stack maps from its memory, or from its file where a core left them out, and their names from its debug
// information.
#pragma once

#include <string>

#include "elf/image.h"
#include "stacktide/core/snapshot.h"
#include "walk/stack_maps.h"

namespace stacktide {

struct LoadedMaps {
  StackMaps maps;
  std::string names_problem;  // why there are no names though there should be; "" otherwise
};

// Errors: not_supported (no maps, or what to give so that they can be read), damaged_data, unsupported_contract.
Result<LoadedMaps> load_stack_maps(const StackMapsInfo& info, Memory& memory, const std::vector<Module>& modules,
                                   ImageCache& images);

}  // namespace stacktide

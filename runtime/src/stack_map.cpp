#include "stack_map.h"

namespace stacktide::runtime {

constinit StackMaps stack_maps{};

}  // namespace stacktide::runtime

// How standard output may look: colour only on a terminal that knows it, and not against NO_COLOR.
#pragma once

#include "view/text.h"

namespace stacktide::cli {

Style standard_style();

}  // namespace stacktide::cli

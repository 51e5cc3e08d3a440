// What the commands need of a session beyond its public face.
#pragma once

#include "descriptor/layout.h"
#include "stacktide/core/command.h"
#include "unwind/unwinder.h"

namespace stacktide {

struct SessionAccess {
  // Fills function, file and line only, from the innermost frames: for lists of many.
  static void locate_shallow(Session& session, Goroutine& goroutine);
  // The bare frames, for grouping many stacks before any is symbolised.
  static Unwinding unwind(Session& session, const Goroutine& goroutine);
  // Valid once snapshot() succeeded.
  static const Layout& layout(Session& session);
};

}  // namespace stacktide

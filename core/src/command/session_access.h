// What the commands need of a session beyond its public face.
#pragma once

#include <span>

#include "descriptor/descriptor.h"
#include "descriptor/layout.h"
#include "stacktide/core/command.h"
#include "symbols/symbolizer.h"
#include "unwind/unwinder.h"
#include "walk/load_stack_maps.h"

namespace stacktide {

struct SessionAccess {
  // Fills function, file and line only, from the innermost frames: for lists of many.
  static void locate_shallow(Session& session, Goroutine& goroutine);
  // The bare frames, for grouping many stacks before any is symbolised.
  static Unwinding unwind(Session& session, const Goroutine& goroutine);
  // From any registers, at most `limit` frames.
  static Unwinding unwind(Session& session, const Registers& registers, std::size_t limit);
  // Valid once snapshot() succeeded.
  static const Layout& layout(Session& session);
  static const Descriptor& descriptor(Session& session);
  static const std::vector<std::string>& runtime_symbols(Session& session);
  static Symbolizer& symbolizer(Session& session);
  // The descriptor alone, without the walk that snapshot() costs.
  static Result<const Descriptor*> find_descriptor(Session& session);
  // The same for a session that is kept over stops: looked for again until the runtime's event rings are there.
  static Result<const Descriptor*> event_descriptor(Session& session);
  // Whoever keeps this, and finds it equal later, has to do with the same session, and may keep what it learnt from it.
  static std::shared_ptr<const void> identity(const Session& session);
  // The levels at a return address, never empty; valid as long as the session.
  static const std::vector<Frame>& symbolized(Session& session, Address pc);
  // Bytes of code, from the target or, where a core has left them out, from the module's file; how many were there.
  static std::size_t read_code(Session& session, Address address, std::span<std::byte> out);
  // The program's stack maps, read on first use. Errors: those of snapshot() and load_stack_maps().
  static Result<const LoadedMaps*> stack_maps(Session& session);
  // The writable data of the module that the runtime is in. When this was called before snapshot(), data of a process that
  // runs on later still reads as it was, like the stacks.
  static std::vector<MemoryRange> writable_data(Session& session);
  static void keep_data(Session& session);
};

}  // namespace stacktide

// What a session keeps of its target, each part made on first use. Private to session*.cpp.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "producers/find.h"
#include "stacktide/core/command.h"
#include "symbols/symbolizer.h"
#include "unwind/unwinder.h"
#include "walk/load_stack_maps.h"
#include "walk/walker.h"

namespace stacktide {

inline constexpr std::size_t kMaxFrames = 10'000;

struct Session::State {
  explicit State(std::unique_ptr<Target> owned) : target(std::move(owned)) {}

  std::unique_ptr<Target> target;
  ImageCache images;
  std::optional<Unwinder> unwinder_;
  std::optional<Symbolizer> symbolizer_;
  std::optional<Result<FoundDescriptor>> found_;
  Layout layout;
  std::optional<Result<Snapshot>> snapshot_;
  std::optional<Result<LoadedMaps>> maps_;
  std::optional<std::vector<std::string>> runtime_symbols_;
  bool keep_data = false;
  Running running;
  std::map<std::pair<Address, bool>, std::vector<Frame>> levels;
  const std::shared_ptr<const void> identity = std::make_shared<char>();

  Unwinder& unwinder();

  Symbolizer& symbolizer();

  Result<FoundDescriptor>& found();

  // For those who ask while the program runs: a runtime that was not there, or not ready, may be by now.
  Result<FoundDescriptor>& found_now();

  // For a session that outlives its stop: what the last look did not find, or found before the runtime had started, is
  // looked for again.
  Result<const Descriptor*> event_descriptor();

  Result<Address> hook(const char* function, std::string_view root_name);

  // How the names of the runtime's own functions and data begin; of a target without a runtime, none.
  const std::vector<std::string>& runtime_symbols();

  Result<Snapshot>& snapshot();

  // Of the module that has the runtime. Relocated constants (.data.rel.ro) are in it: they are writable until the loader is
  // done, and harmless to read.
  std::vector<MemoryRange> writable_data();

  // The functions of goroutines that are in a library call, by name. There are no more of these than threads.
  void name_library_calls(Snapshot& snapshot);

  std::string library_call(const Goroutine& goroutine);

  // What unwinding reads: the used part of every goroutine's stack, and of the threads' own.
  std::vector<MemoryRange> stacks(const Snapshot& snapshot);

  const std::vector<Frame>& symbolize(Address pc, bool exact);

  // Where a goroutine that runs a library call on the thread's own stack left the goroutine stack: the first frame whose
  // caller lies on it.
  static Address stack_pointer(const Stack& stack, const Unwinding& walk);

  void find_stack_pointer(Goroutine& goroutine, const Unwinding& walk);

  // The innermost and the outermost user frame of a walk, as analyze/frames.h defines them, without copying any: with
  // 100,000 goroutines copies are most of the time. The levels stay where they are.
  const Frame* inner_user_frame(const Unwinding& walk);
  const Frame* outer_user_frame(const Unwinding& walk);

  // One that has not begun yet, or whose entry has left its frame to a function of the runtime's, is in its entry.
  void place(Goroutine& goroutine, const Frame* frame, const Unwinding& walk);

  // Fills in what text may show: whose code it is, and no byte that a terminal would act on.
  void finish(std::vector<Frame>& frames);
};

}  // namespace stacktide

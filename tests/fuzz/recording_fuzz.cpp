// A hostile trace file, through everything that is done with one: summarized, shown, and exported in each format.
#include "command/recordings.h"
#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const stacktide::fuzz::MemoryFile file(data, size);
  const stacktide::RecordingOutput output{{}, false, [](std::string_view) { return true; }};
  for (const stacktide::RecordingCommand& command : stacktide::recording_commands()) {
    if (command.name != "export") {
      (void)stacktide::run_recording(command, {file.path()}, output);
      (void)stacktide::run_recording(command, {file.path(), "--json"}, output);
      continue;
    }
    for (const char* format : {"jsonl", "perfetto", "pprof"})
      (void)stacktide::run_recording(command, {file.path(), "--format", format}, output);
  }
  return 0;
}

// A hostile core file, through everything that a front end would do with it: opened, and shown by every command of the
// table.
#include "fuzz/memory_file.h"
#include "stacktide/core/command.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const stacktide::fuzz::MemoryFile file(data, size);
  auto target = stacktide::open_core(file.path());
  if (!target) return 0;
  (void)(*target)->threads();
  stacktide::Session session(std::move(*target));
  for (const stacktide::CommandInfo& command : stacktide::commands()) {
    (void)stacktide::run(session, {std::string(command.name), "--json"}, {});
    (void)stacktide::run(session, {std::string(command.name)}, {});
  }
  return 0;
}

// The plugin in a real LLDB on core files.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "support/lldb.h"
#include "support/park.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

struct Core {
  TempDir folder;
  std::string program;  // a copy, so that a test may delete it
  std::string file;
};

void dump(Core& core, int goroutines) {
  core.program = core.folder / "park";
  std::filesystem::copy_file(sample_program("park"), core.program);
  Child child =
      Child::start({core.program, std::to_string(goroutines)}, {.env = {}, .folder = core.folder.path(), .core = true});
  wait_until_parked(child);
  core.file = make_core(child);
}

std::string cli(const Core& core, std::vector<std::string> words) {
  words.insert(words.begin(), cli_program());
  words.insert(words.end(), {"--core", core.file});
  return run(words).out;
}

// A list without the column that marks the goroutine of LLDB's selected thread: the thread that took the signal, which may
// run one.
std::string unmarked(const std::string& list) {
  if (occurrences("\n" + list, "\n* ") == 0) return list;
  std::string text;
  for (const auto& line : lines_of(list))
    text += (line.starts_with("*") || line.starts_with(" ") ? line.substr(1) : line) + "\n";
  return text;
}

}  // namespace

TEST_CASE("goroutine list on a core shows what the command line shows") {
  Core core;
  dump(core, 40);
  const auto session = lldb({"target create --core " + core.file + " " + core.program, "goroutine list", "goroutine sched"});
  CHECK(unmarked(session[1]) == cli(core, {"list"}));
  CHECK(occurrences(session[1], "chan receive") == 40);
  CHECK(session[2] == cli(core, {"sched"}));
}

TEST_CASE("on a core a backtrace reaches the entry, and locals print") {
  Core core;
  dump(core, 40);
  const auto session = lldb({"target create --core " + core.file + " " + core.program, "goroutine 5 bt", "goroutine bt 5"});
  const auto frames = frame_lines(session[1]);
  CHECK(frames == frame_lines(session[2]));
  CHECK(session[1].find("stacktide_goroutine_start") != std::string::npos);
  std::size_t waits = 0;
  while (waits < frames.size() && frames[waits] != place_in_park("release.recv()")) ++waits;
  const auto locals = lldb({"target create --core " + core.file + " " + core.program,
                            "goroutine 5 frame select " + std::to_string(waits + 2), "goroutine 5 frame variable text"});
  CHECK(locals[2].find("(std::string) text = \"parked at depth 2\"") != std::string::npos);
}

TEST_CASE("goroutine threads on works on a core") {
  Core core;
  dump(core, 30);
  const auto session = lldb({"target create --core " + core.file + " " + core.program, "thread list", "goroutine threads on",
                             "thread list", "thread backtrace all -c 1", "goroutine threads off", "thread list"});
  CHECK(session[2] == "30 goroutines are threads now; 1 run on threads of the process\n");
  CHECK(occurrences(session[3], "[chan receive] (anonymous namespace)::worker'") == 30);
  CHECK(occurrences(session[4], "frame #0") == occurrences(session[3], "thread #"));
  CHECK(occurrences(session[6], "thread #") == occurrences(session[1], "thread #"));
}

TEST_CASE("a core whose executable was deleted still lists its goroutines") {
  Core core;
  dump(core, 10);
  std::filesystem::remove(core.program);
  const auto session = lldb({"target create --core " + core.file, "goroutine list"});
  CHECK(unmarked(session[1]) == cli(core, {"list"}));
  CHECK(occurrences(session[1], "chan receive") == 10);
}

TEST_CASE("a core with an executable of another build says so and still lists its goroutines") {
  Core core;
  dump(core, 10);
  const auto session =
      lldb({"target create --core " + core.file + " " + sample_program("grow"), "goroutine list", "goroutine runtime"});
  CHECK(occurrences(session[1], "chan receive") == 10);
  // The two build-ids are in the middle.
  CHECK(session.err.starts_with("warning: stacktide: " + sample_program("grow") + " is not the executable of core " +
                                core.file));
  CHECK(lines_of(session.err).front().ends_with("(give the executable that dumped this core)"));
}

TEST_CASE("tracing a core is refused in one line") {
  Core core;
  dump(core, 3);
  const auto session = lldb({"target create --core " + core.file + " " + core.program, "goroutine trace on"});
  CHECK(session.err.find("error: stacktide: a core does not run: goroutine history shows its last stack events\n") !=
        std::string::npos);
}

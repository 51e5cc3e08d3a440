// A real goroutine program linked by stacktide-link in the ways that programs are linked: statically, without unused
// sections, with equal functions folded, stripped, at a fixed address; with every linker that is installed. The program
// (rt_arguments) checks itself.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/gdb.h"  // installed
#include "support/process.h"

using namespace stacktide::test;

namespace {

const std::string kBuild = STACKTIDE_BUILD_DIR;

// Links rt_arguments' object with these options, in a folder of its own, and runs it on moving or on linked stacks.
void link_and_run(const std::string& linker, const std::vector<std::string>& options) {
  const TempDir folder;
  const std::string program = folder / "program";
  std::vector<std::string> command = {kBuild + "/bin/stacktide-link", "g++", "-fuse-ld=" + linker};
  command.insert(command.end(), options.begin(), options.end());
  for (const char* input : {"/tests/programs/CMakeFiles/rt_arguments_movable_O2.dir/rt_arguments.cpp.o",
                            "/lib/librt_arguments_plain_O2.a", "/lib/libstacktide.a"})
    command.push_back(kBuild + input);
  command.insert(command.end(), {"-lbacktrace", "-o", program});
  const Output linked = run(command);
  CAPTURE(command);
  CAPTURE(linked.err);
  REQUIRE(linked.exit_code == 0);
  StartOptions start;
  start.env = {"STACKTIDE_STRESS=move"};
  const Output ran = run({program}, kTimeout, start);
  CAPTURE(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.ends_with("many_scalars: right\n"));
}

}  // namespace

TEST_CASE("a goroutine program is right however it is linked") {
  for (const std::string linker : {"bfd", "gold", "lld"}) {
    if (!installed("ld." + linker)) continue;
    CAPTURE(linker);
    link_and_run(linker, {"-static"});
    link_and_run(linker, {"-Wl,--gc-sections", "-s"});
    if (linker != "bfd") link_and_run(linker, {"-Wl,--icf=all", "-Wl,--gc-sections"});
  }
}

TEST_CASE("a static program may be position-independent, and any may lose its symbols later") {
  link_and_run("bfd", {"-static-pie"});
  link_and_run("bfd", {"-static", "-Wl,-x", "-Wl,--gc-sections", "-Wl,-z,relro"});
}

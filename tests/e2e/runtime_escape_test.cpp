// Addresses of a stack in what a goroutine gives away: reported word for word where the stack may move, and nowhere else.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <regex>
#include <string>
#include <vector>

#include "support/process.h"

using namespace stacktide::test;

namespace {

constexpr const char* kLevels[] = {"O0", "O2"};

Output run_escape(const std::string& program, std::vector<std::string> arguments, std::vector<std::string> env = {}) {
  arguments.insert(arguments.begin(), test_program("rt_escape_" + program));
  return run(arguments, kTimeout, {.env = std::move(env), .folder = {}, .core = false});
}

// Without what differs between machines: addresses, folders, and lines.
std::string plain(const Output& output) {
  std::string text = std::regex_replace(output.err, std::regex("0x[0-9a-f]+"), "ADDRESS");
  text = std::regex_replace(text, std::regex("\t[^\n]*/([a-z_]+\\.(cpp|h)):[0-9]+"), "\t$1");
  // Functions of the public headers, inlined into those that call them.
  return std::regex_replace(text, std::regex("[^\n]*\n\t(channel|select)\\.h\n"), "");
}

const std::string kClosure =
    "warning: the closure given to go() holds the address of a local in goroutine 1, whose stack may move\n";
const std::string kValue =
    "warning: the value sent on a channel holds the address of a local in goroutine 1, whose stack may move\n";

struct Case {
  const char* how;
  std::string says;
};

const Case kEscapes[] = {
    {"lambda_by_reference",
     kClosure + "\tlambda_by_reference()::<lambda()>, 8 bytes in: ADDRESS, in the frame that gives it away:\n"
                "lambda_by_reference()\n\trt_escape.cpp\n"},
    {"pointer_argument", kClosure + "\tconst int*, 0 bytes in: ADDRESS, in the frame of:\n"
                                    "pointer_argument()\n\trt_escape.cpp\n"
                                    "given away by:\n"
                                    "give_argument(int const*, stacktide::wait_group)\n\trt_escape.cpp\n"},
    {"reference_wrapper", kClosure + "\tstd::reference_wrapper<int>, 0 bytes in: ADDRESS, in the frame that gives it away:\n"
                                     "reference_wrapper()\n\trt_escape.cpp\n"},
    // Two places, three sends.
    {"send_pointer", kValue +
                         "\tconst int*, 0 bytes in: ADDRESS, in the frame that gives it away:\n"
                         "send_pointer()\n\trt_escape.cpp\n" +
                         kValue +
                         "\tconst int*, 0 bytes in: ADDRESS, in the frame that gives it away:\n"
                         "send_pointer()\n\trt_escape.cpp\n"},
    {"send_structure", kValue + "\tMessage, 8 bytes in: ADDRESS, in the frame that gives it away:\n"
                                "send_structure()\n\trt_escape.cpp\n"},
    {"send_view", kValue + "\tstd::basic_string_view<char>, 8 bytes in: ADDRESS, in the frame that gives it away:\n"
                           "send_view()\n\trt_escape.cpp\n"},
    {"select_sends", kValue + "\tconst int*, 0 bytes in: ADDRESS, in the frame that gives it away:\n"
                              "select_sends()\n\trt_escape.cpp\n"},
    // What goroutine 2 passes on lies in the stack of goroutine 1.
    {"pass_on", kValue +
                    "\tconst int*, 0 bytes in: ADDRESS, in the frame that gives it away:\n"
                    "pass_on()\n\trt_escape.cpp\n" +
                    kValue +
                    "\tconst int*, 0 bytes in: ADDRESS\n"
                    "given away by:\n"
                    "operator()\n\trt_escape.cpp\n"},
};

}  // namespace

TEST_CASE("an address of a stack that may move is reported once for each place that gives it away") {
  for (const char* level : kLevels) {
    for (const Case& c : kEscapes) {
      CAPTURE(level);
      CAPTURE(c.how);
      const Output output = run_escape(std::string("movable_") + level, {c.how, "3"});
      CHECK(output.exit_code == 0);
      CHECK(output.out == "right\n");
      CHECK(plain(output) == c.says);
    }
  }
}

TEST_CASE("under STACKTIDE_STRICT=on it ends the program, with a traceback") {
  for (const char* level : kLevels) {
    CAPTURE(level);
    const Output output = run_escape(std::string("movable_") + level, {"pointer_argument"}, {"STACKTIDE_STRICT=on"});
    CHECK(output.exit_code == 128 + 6);
    const std::string expected =
        "fatal error: the closure given to go() holds the address of a local in goroutine 1, whose stack may move\n"
        "\tconst int*, 0 bytes in: ADDRESS, in the frame of:\n"
        "pointer_argument()\n\trt_escape.cpp\n"
        "\n"
        "goroutine 1 [running]:\n"
        "give_argument(int const*, stacktide::wait_group)\n\trt_escape.cpp\n"
        "pointer_argument()\n\trt_escape.cpp\n";
    CHECK(plain(output).substr(0, expected.size()) == expected);
  }
}

TEST_CASE("where no stack moves, nothing is reported") {
  for (const char* level : kLevels) {
    for (const Case& c : kEscapes) {
      CAPTURE(level);
      CAPTURE(c.how);
      // 100 times: more often than a place is looked at.
      for (const Output& output :
           {run_escape(std::string("pinned_") + level, {c.how, "100"}, {"STACKTIDE_STRICT=on"}),
            run_escape(std::string("movable_") + level, {c.how}, {"STACKTIDE_STRICT=on", "STACKTIDE_POLICY=segmented"})}) {
        CHECK(output.exit_code == 0);
        CHECK(output.err.empty());
      }
    }
  }
  // But there are those who let it move.
  CHECK(run_escape("pinned_O2", {"send_view"}, {"STACKTIDE_POLICY=contiguous"}).err.starts_with(kValue));
}

TEST_CASE("valid programs are not reported, whatever lies on their stacks") {
  for (const char* level : kLevels) {
    for (const char* how : {"valid", "kinds_of_memory"}) {
      CAPTURE(level);
      CAPTURE(how);
      const Output output = run_escape(std::string("movable_") + level, {how, "20"}, {"STACKTIDE_STRICT=on"});
      CHECK(output.exit_code == 0);
      CHECK(output.err.empty());
    }
  }
}

// What is said when goroutines misuse what they wait for, or all wait; and what the tools say that they wait for.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <map>
#include <string>

#include "support/process.h"

using namespace stacktide::test;

namespace {

constexpr int kAborted = 128 + 6;
constexpr const char* kLevels[] = {"O0", "O2"};

Output end_of(const std::string& level, const std::string& how, const std::string& procs) {
  return run({test_program("rt_misuse_" + level), how}, kTimeout, {.env = {"STACKTIDE_MAXPROCS=" + procs}, .folder = {}, .core = false});
}

// The headers of goroutines in a traceback, counted by what stands in the brackets.
std::map<std::string, int> headers(const std::string& text) {
  std::map<std::string, int> count;
  for (std::size_t at = text.find("\ngoroutine "); at != std::string::npos; at = text.find("\ngoroutine ", at + 1)) {
    const std::size_t open = text.find('[', at);
    ++count[text.substr(open + 1, text.find(']', open) - open - 1)];
  }
  return count;
}

const std::map<std::string, int> kAllWaits = {{"select (no cases)", 1}, {"select", 2},           {"sync.Mutex.Lock", 2},
                                              {"sync.WaitGroup.Wait", 1}};

}  // namespace

TEST_CASE("misuse ends the program with Go's words, in the name of the goroutine that did it") {
  const struct {
    const char* how;
    const char* first;
    const char* header;
    const char* where;
  } cases[] = {
      {"unlock_unlocked", "fatal error: sync: unlock of unlocked mutex", "\ngoroutine 1 [running]:", "unlock_unlocked"},
      {"unlock_twice_while_woken", "fatal error: sync: unlock of unlocked mutex", "\ngoroutine 1 [running]:", "unlock_twice_while_woken"},
      {"close_while_sending", "panic: send on closed channel", "\ngoroutine 2 [running]:", "channel<int>::send"},
      {"select_sends_on_closed", "panic: send on closed channel", "\ngoroutine 1 [running]:", "select_sends_on_closed"},
      {"close_while_selecting", "panic: send on closed channel", "\ngoroutine 2 [running]:", "stacktide::select<"},
      {"select_in_callback", "fatal error: select() in a callback from library code", "\ngoroutine 1 [running]:", "selecting_compare"},
  };
  for (const char* level : kLevels) {
    for (const char* procs : {"1", "4"}) {
      for (const auto& c : cases) {
        CAPTURE(level);
        CAPTURE(c.how);
        const Output output = end_of(level, c.how, procs);
        INFO(output.err);
        CHECK(output.exit_code == kAborted);
        CHECK(output.err.starts_with(c.first));
        const std::size_t header = output.err.find(c.header);
        REQUIRE(header != std::string::npos);
        CHECK(output.err.find(c.where, header) != std::string::npos);
      }
    }
  }
}

TEST_CASE("when all wait, for whatever it is, that is a deadlock; a timeout that lost changes nothing") {
  for (const char* level : kLevels) {
    for (const char* procs : {"1", "4"}) {
      const Output all = end_of(level, "deadlock", procs);
      INFO(all.err);
      CHECK(all.exit_code == kAborted);
      CHECK(all.err.starts_with("fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive (nil chan)]:\n"));
      auto expected = kAllWaits;
      expected["chan receive (nil chan)"] = 1;
      CHECK(headers(all.err) == expected);
      const Output lost = end_of(level, "deadlock_after_lost_timeout", procs);
      CHECK(lost.exit_code == kAborted);
      CHECK(headers(lost.err) == std::map<std::string, int>{{"chan receive", 1}});
      const Output pending = end_of(level, "no_deadlock_before_timeout", procs);
      CHECK(pending.exit_code == 0);
      CHECK(pending.out == "late\n");
    }
  }
}

TEST_CASE("list says what each goroutine waits for") {
  for (const char* level : kLevels) {
    Child child = Child::start({test_program(std::string("rt_misuse_") + level), "waits"}, {.env = {"STACKTIDE_MAXPROCS=2"}, .folder = {}});
    child.wait_for_line("ready");
    const Output list = run({cli_program(), "list", "--json", "--pid", std::to_string(child.pid())});
    REQUIRE(list.exit_code == 0);
    INFO(list.out);
    std::map<std::string, int> reasons;
    const auto parsed = nlohmann::json::parse(list.out);
    for (const auto& g : parsed.at("goroutines")) {
      if (g.at("status") == "waiting") ++reasons[g.at("wait_reason").get<std::string>()];
    }
    CHECK(reasons == kAllWaits);
    child.close_stdin();
    CHECK(child.wait() == 0);
  }
}

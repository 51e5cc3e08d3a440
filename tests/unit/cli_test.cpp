#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "support/process.h"

using namespace stacktide::test;

namespace {

Output cli(std::vector<std::string> words, const StartOptions& options = {}) {
  words.insert(words.begin(), cli_program());
  return run(words, kTimeout, options);
}

void check_refused(const std::vector<std::string>& words, const std::string& err) {
  const auto result = cli(words);
  CHECK(result.out == "");
  CHECK(result.err == err + "\n");
  CHECK(result.exit_code == 2);
}

}  // namespace

TEST_CASE("help and version need no target") {
  CHECK(cli({"--version"}).out.starts_with("stacktide "));
  const auto help = cli({"--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.out.find("exit codes: 0 fine; 1 findings; 2 usage") != std::string::npos);
  CHECK(cli({"help"}).out == help.out);
  CHECK(cli({"help", "bt"}).out.starts_with("stacktide bt [ID|all] [OPTIONS] --pid N | --core FILE\n"));
  CHECK(cli({"bt", "--help"}).out == cli({"help", "bt"}).out);
}

TEST_CASE("a command line that makes no sense is one line on stderr and exit code 2") {
  check_refused({}, "stacktide: which command? (see stacktide --help)");
  check_refused({"lst", "--pid", "1"}, "stacktide: no command 'lst' (see help)");
  check_refused({"list"}, "stacktide: list: of which program? give --pid N or --core FILE");
  check_refused({"list", "--pid", "abc"}, "stacktide: --pid wants a process id, not 'abc' (see stacktide --help)");
  check_refused({"completion", "fish"}, "stacktide: completion: for bash only (stacktide completion bash)");
  CHECK(cli({"list", "--pid", "1", "--core", "x"}).exit_code == 2);
  CHECK(cli({"list", "--pid", "1", "--exe", "x"}).exit_code == 2);
  CHECK(cli({"list", "--color", "pink", "--pid", "1"}).exit_code == 2);
}

TEST_CASE("targets that cannot be read are told apart") {
  check_refused({"list", "--pid", "4194305"}, "stacktide: there is no process 4194305 (check the pid)");
  check_refused({"list", "--core", "/etc/passwd"},
                "stacktide: /etc/passwd is no ELF file (an ELF executable or core is wanted)");
  const auto child = Child::start({"sleep", "1000"});
  const auto result = cli({"list", "--pid", std::to_string(child.pid())});
  CHECK(result.exit_code == 2);
  CHECK(result.err.find("stacktide: no goroutine runtime in process " + std::to_string(child.pid()) + " (") !=
        std::string::npos);
  CHECK(result.err.find("(build the program with stacktide_goroutines(target))\n") != std::string::npos);
}

TEST_CASE("bash accepts the completion script, and it completes a command") {
  const auto result = run(
      {"bash", "-c",
       "source <(\"$0\" completion bash) && COMP_WORDS=(stacktide hi) COMP_CWORD=1 && _stacktide && echo ${COMPREPLY[@]} && "
       "COMP_WORDS=(stacktide bt --no) COMP_CWORD=2 && _stacktide && echo ${COMPREPLY[@]} && "
       "COMP_WORDS=(stacktide trace su) COMP_CWORD=2 && _stacktide && echo ${COMPREPLY[@]} && "
       "COMP_WORDS=(stacktide trace check --jun) COMP_CWORD=3 && _stacktide && echo ${COMPREPLY[@]} && "
       "COMP_WORDS=(stacktide record --li) COMP_CWORD=2 && _stacktide && echo ${COMPREPLY[@]}",
       cli_program()});
  CHECK(result.err == "");
  CHECK(result.out == "history\n--no-group\nsummary\n--junit\n--limit\n");
}

TEST_CASE("a live program is listed, runs on untraced, and the pause is printed") {
  auto child = Child::start({sample_program("park"), "5"});
  child.wait_for_line("ready");
  const auto pid = std::to_string(child.pid());
  const auto text = cli({"list", "--pid", pid});
  CHECK(text.exit_code == 0);
  CHECK(text.err.starts_with("stopped process " + pid + " for "));
  CHECK(text.err.ends_with(" ms\n"));
  CHECK(text.out.find("6 goroutines: 5 waiting, 1 ") != std::string::npos);
  CHECK(text.out.find("\x1b") == std::string::npos);
  CHECK(status_field(child.pid(), "TracerPid") == "0");
  CHECK(cli({"list", "--pid", pid, "--color=always"}).out.find("\x1b[1m") != std::string::npos);

  const auto json = cli({"bt", "3", "--json", "--pid", pid});
  CHECK(json.exit_code == 0);
  const auto document = nlohmann::json::parse(json.out);
  CHECK(document["goroutines"][0]["id"] == 3);
  CHECK(document["goroutines"][0]["wait_reason"] == "chan receive");
  CHECK(document["goroutines"][0]["complete"] == true);
  child.close_stdin();
  CHECK(child.wait() == 0);
}

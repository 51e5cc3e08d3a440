// What samples/echo says and does when the limit of open files is too low, and what the runtime says when the program closes
// the runtime's own descriptors.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "support/process.h"

using namespace stacktide::test;

namespace {

// Runs the rest of the command with room for so many descriptors, 0 to 2 among them.
std::vector<std::string> with_descriptors(int n, std::vector<std::string> command) {
  command.insert(command.begin(), {"sh", "-c", fmt::format("ulimit -n {}; exec \"$0\" \"$@\"", n)});
  return command;
}

class Connection {
 public:
  explicit Connection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const timeval limit{.tv_sec = 30, .tv_usec = 0};
    REQUIRE(setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void ask() const { REQUIRE(write(fd_, "x", 1) == 1); }
  bool answered() const {
    char byte = 0;
    return read(fd_, &byte, 1) == 1 && byte == 'x';
  }

 private:
  int fd_;
};

// Until the goroutine that accepts waits for time to pass, rather than for the descriptor that is ready all the time.
void wait_for_pause(const Child& child) {
  for (const auto start = std::chrono::steady_clock::now();;) {
    const auto list = nlohmann::json::parse(cli_output({"list", "--json"}, {"--pid", std::to_string(child.pid())}));
    for (const auto& g : list.at("goroutines")) {
      if (g.at("wait_reason") == "sleep") return;
    }
    REQUIRE(std::chrono::steady_clock::now() - start < kTimeout);
  }
}

Output lose(const std::string& level, const std::string& how, const std::string& procs) {
  return run({test_program("rt_net_errors_" + level), "lost-" + how}, kTimeout,
             {.env = {"STACKTIDE_MAXPROCS=" + procs}, .folder = {}, .core = false});
}

}  // namespace

TEST_CASE("without a descriptor for another connection echo says so once, pauses, and goes on when one is closed") {
  // Three, the listener, and the runtime's two leave two.
  auto child = Child::start(with_descriptors(8, {sample_program("echo")}));
  const auto listening = child.wait_for_line("listening on 127.0.0.1:");
  const int port = std::stoi(listening.substr(listening.rfind(':') + 1));
  {
    const Connection first(port);
    const Connection second(port);
    for (const Connection* c : {&first, &second}) {
      c->ask();
      CHECK(c->answered());
    }
    const Connection third(port);
    third.ask();
    child.wait_for_line("echo: new connections have to wait: Too many open files (raise the limit: ulimit -n)");
    wait_for_pause(child);
    // Those that it has are served meanwhile.
    first.ask();
    CHECK(first.answered());
    {
      const Connection fourth(port);
      fourth.ask();
      second.ask();
      CHECK(second.answered());
    }
  }
  const Connection last(port);
  last.ask();
  CHECK(last.answered());
  child.signal(SIGTERM);
  CHECK(child.wait() == 128 + SIGTERM);
  CHECK(child.output() ==
        listening + "echo: new connections have to wait: Too many open files (raise the limit: ulimit -n)\n");
}

TEST_CASE("a connection that had to wait is served when another one has ended") {
  auto child = Child::start(with_descriptors(7, {sample_program("echo")}));
  const auto listening = child.wait_for_line("listening on 127.0.0.1:");
  const int port = std::stoi(listening.substr(listening.rfind(':') + 1));
  auto first = std::make_unique<Connection>(port);
  first->ask();
  CHECK(first->answered());
  const Connection second(port);
  second.ask();
  child.wait_for_line("echo: new connections have to wait: ");
  first.reset();
  CHECK(second.answered());
}

TEST_CASE("echo ends, and says why, when there is no room for it to wait at all") {
  const auto server = run(with_descriptors(5, {sample_program("echo")}));
  CHECK(server.exit_code == 1);
  CHECK(server.err == "echo: cannot wait for connections: Too many open files (raise the limit: ulimit -n)\n");
  const auto test = run(with_descriptors(32, {sample_program("echo"), "--self-test", "2000000000"}));
  CHECK(test.exit_code == 1);
  CHECK(test.out.empty());
  CHECK(test.err == "echo: no room for a connection: Too many open files (raise the limit: ulimit -n)\n");
}

// More than any kernel allows, so that root cannot raise the limit either.
TEST_CASE("the self-test makes do with as many connections as there may be, and says so first") {
  const auto test = run(with_descriptors(300, {sample_program("echo"), "--self-test", "2000000000"}));
  CHECK(test.exit_code == 0);
  CHECK(test.err.empty());
  CHECK(
      test.out.starts_with("only 268 connections: the limit of open files is 300 (ulimit -Hn)\n"
                           "268 idle connections; 2000 messages there and back, "));
}

TEST_CASE("a program that closes the runtime's descriptors ends, whatever it does next") {
  for (const char* level : {"O0", "O2"}) {
    CAPTURE(level);
    const std::string text = "fatal error: net: the program closed a file descriptor of the runtime (close no others than your own)\n";
    for (const char* procs : {"1", "4"}) {
      CAPTURE(procs);
      const auto wait = lose(level, "wait", procs);
      CHECK(wait.exit_code == 128 + SIGABRT);
      // The monitor, which is no goroutine, may have asked before it.
      const bool traced = wait.err.starts_with(text + "\ngoroutine 1 [running]:\nstacktide::wait_readable(int)\n");
      CHECK((traced || wait.err == text));
    }
    // With one P, whose M looks for something to do. With several, another M may have been watching, which the kernel lets
    // go on: that is noticed when somebody has to be woken.
    const auto sleep = lose(level, "sleep", "1");
    CHECK(sleep.exit_code == 128 + SIGABRT);
    CHECK(sleep.err == text);
    // The only P is busy: the monitor asks.
    const auto busy = lose(level, "busy", "1");
    CHECK(busy.exit_code == 128 + SIGABRT);
    CHECK(busy.err == text);
  }
}

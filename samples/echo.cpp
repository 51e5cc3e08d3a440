// echo [PORT]: a TCP server on 127.0.0.1 that sends back what it gets, one goroutine for each connection. PORT 0, the
// default, is any.
//
// echo --self-test N [--wait]: the same with N connections from a process of its own. It sends a message through some of
// them and leaves all of them idle, then prints what they cost beside what as many threads would. With --wait it then prints
// `ready` and keeps them until the end of its input, for the tools:
//
//   echo --self-test 10000 --wait < <(sleep 600) &
//   stacktide list --group status --pid $!
#include <stacktide/net.h>
#include <stacktide/runtime.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

using stacktide::wait_status;

const char* remedy(int error) {
  if (error == EMFILE) return " (raise the limit: ulimit -n)";
  return error == ENOSPC ? " (raise the limit: sysctl fs.epoll.max_user_watches)" : "";
}

void say(const char* what) {
  const int error = errno;
  std::fprintf(stderr, "echo: %s: %s%s\n", what, std::strerror(error), remedy(error));
}

[[noreturn]] void die(const char* what) {
  say(what);
  std::_Exit(1);
}

// ---- The server ----

std::atomic<long> connections = 0;
std::atomic<std::uint64_t> stack_bytes = 0;  // of the goroutines that serve, when they last began to wait
std::atomic<bool> said = false;              // that not all can be served; once is enough

void say_once(const char* what) {
  if (!said.exchange(true)) say(what);
}

bool send_back(int fd, const char* text, std::size_t length) {
  while (length != 0) {
    const ssize_t n = write(fd, text, length);
    if (n > 0) {
      text += n;
      length -= static_cast<std::size_t>(n);
    } else if (errno != EAGAIN || stacktide::wait_writable(fd) != wait_status::ready) {
      return false;
    }
  }
  return true;
}

void serve(int fd) {
  ++connections;
  std::uint64_t size = 0;
  for (char text[256];;) {
    const auto now = stacktide::stack_info().size;
    stack_bytes += now - size;
    size = now;
    if (stacktide::wait_readable(fd) != wait_status::ready) {
      say_once("a connection has to end");
      break;
    }
    const ssize_t n = read(fd, text, sizeof text);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0 || !send_back(fd, text, static_cast<std::size_t>(n))) break;
  }
  stacktide::close_fd(fd);
  stack_bytes -= size;
  --connections;
}

void accept_all(int listener) {
  while (stacktide::wait_readable(listener) == wait_status::ready) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      stacktide::go(serve, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      say_once("new connections have to wait");
      stacktide::sleep_for(std::chrono::milliseconds(10));  // until others close theirs
    }
  }
  die("cannot wait for connections");
}

sockaddr_in local(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

struct Listener {
  int fd;
  int port;
};

Listener listen_on(int port) {
  sockaddr_in address = local(port);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) die("socket");
  if (bind(fd, generic, size) != 0 || listen(fd, 4096) != 0 || getsockname(fd, generic, &size) != 0) die("cannot listen");
  return {fd, ntohs(address.sin_port)};
}

// ---- The other side, in a process of its own: ordinary blocking calls ----

struct Outcome {
  long echoed;        // messages that came back as they were
  double round_trip;  // microseconds
};

bool there_and_back(int fd, long number) {
  char sent[32];
  char got[32];
  const int length = std::snprintf(sent, sizeof sent, "message %ld", number);
  if (write(fd, sent, static_cast<std::size_t>(length)) != length) return false;
  for (int have = 0; have < length;) {
    const ssize_t n = read(fd, got + have, static_cast<std::size_t>(length - have));
    if (n <= 0) return false;
    have += static_cast<int>(n);
  }
  return std::memcmp(sent, got, static_cast<std::size_t>(length)) == 0;
}

// Tells `control` the outcome, keeps the connections until that is closed.
void run_client(int port, long n, int control) {
  std::vector<int> all;
  for (long i = 0; i < n; ++i) {
    const sockaddr_in address = local(port);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("cannot connect");
    all.push_back(fd);
    // An answer says that all before it were accepted, so that the queue of those that were not stays short.
    if (i % 100 == 99 && !there_and_back(fd, i)) die("no echo");
  }
  constexpr long kMessages = 2000;
  Outcome outcome{};
  const auto start = std::chrono::steady_clock::now();
  for (long i = 0; i < kMessages; ++i)
    outcome.echoed += there_and_back(all[static_cast<std::size_t>(i * 7919 % n)], i) ? 1 : 0;
  outcome.round_trip =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kMessages;
  if (write(control, &outcome, sizeof outcome) != sizeof outcome) die("control");
  char byte = 0;
  while (read(control, &byte, 1) > 0) {
  }
}

// ---- What it costs ----

long resident() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%*d %ld", &pages) != 1) die("/proc/self/statm");
  std::fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

constexpr std::array<long, 3> kThreadStacks = {1, 2, 8};  // MiB, ascending: a cached stack serves no larger one
constexpr int kThreads = 200;

// Resident bytes of one thread that waits in read().
long measure_threads(long stack) {
  static int ends[2];
  if (pipe(ends) != 0) die("pipe");
  const auto wait = [](void*) -> void* {
    char byte = 0;
    ++connections;
    while (read(ends[0], &byte, 1) > 0) {
    }
    return nullptr;
  };
  connections = 0;
  const long before = resident();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, static_cast<std::size_t>(stack));
  std::array<pthread_t, kThreads> threads{};
  for (pthread_t& thread : threads) {
    if ((errno = pthread_create(&thread, &attributes, wait, nullptr)) != 0) die("cannot start a thread");
  }
  while (connections != kThreads) sched_yield();
  const long each = (resident() - before) / kThreads;
  close(ends[1]);
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  close(ends[0]);
  return each;
}

double mib(double bytes) { return bytes / (1 << 20); }

// In a child, as everything that leaves memory behind.
std::array<long, 3> measure_threads_aside() {
  std::array<long, 3> each{};
  int ends[2];
  if (pipe(ends) != 0) die("pipe");
  const pid_t child = fork();
  if (child == 0) {
    measure_threads(64 << 10);  // what only the first threads need
    for (std::size_t i = 0; i < each.size(); ++i) each[i] = measure_threads(kThreadStacks[i] << 20);
    std::_Exit(write(ends[1], each.data(), sizeof each) == sizeof each ? 0 : 1);
  }
  if (child < 0 || read(ends[0], each.data(), sizeof each) != sizeof each) die("measuring threads");
  close(ends[0]);
  close(ends[1]);
  waitpid(child, nullptr, 0);
  return each;
}

void report(long n, long cost, const Outcome& outcome, const std::array<long, 3>& threads) {
  const auto count = static_cast<double>(n);
  std::printf("%ld idle connections; %ld messages there and back, %.1f us each\n\n", n, outcome.echoed, outcome.round_trip);
  std::printf("%-28s %14s %14s %16s\n", "", "stacks reserve", "in memory", "in memory, each");
  std::printf("%-28s %10.1f MiB %10.1f MiB %10ld bytes\n", "goroutines", mib(static_cast<double>(stack_bytes.load())),
              mib(static_cast<double>(cost)), cost / n);
  for (std::size_t i = 0; i < threads.size(); ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "threads with %ld MiB stacks", kThreadStacks[i]);
    std::printf("%-28s %10.1f MiB %10.1f MiB %10ld bytes\n", name, count * static_cast<double>(kThreadStacks[i]),
                mib(count * static_cast<double>(threads[i])), threads[i]);
  }
  std::printf(
      "\nThreads: %d were started, each in read(), and the figures multiplied. What the kernel keeps for sockets and "
      "threads is in none.\n",
      kThreads);
  std::fflush(stdout);
}

// ---- The test ----

// As many connections as the limit of open files allows, both ends counted by their own process.
long fit_limit(long n) {
  constexpr long kOthers = 32;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die("getrlimit");
  const auto wanted = static_cast<rlim_t>(n + kOthers);
  if (limit.rlim_cur < wanted) {
    const rlimit more{.rlim_cur = wanted, .rlim_max = std::max(limit.rlim_max, wanted)};  // for those who may
    if (setrlimit(RLIMIT_NOFILE, &more) != 0) {
      limit.rlim_cur = limit.rlim_max;
      setrlimit(RLIMIT_NOFILE, &limit);
    }
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= wanted) return n;
  const long fit = static_cast<long>(limit.rlim_cur) - kOthers;
  if (fit < 1) {
    errno = EMFILE;
    die("no room for a connection");
  }
  std::printf("only %ld connections: the limit of open files is %ld (ulimit -Hn)\n", fit, static_cast<long>(limit.rlim_cur));
  return fit;
}

void until_input_ends() {
  std::puts("ready");
  std::fflush(stdout);
  char byte = 0;
  while (stacktide::wait_readable(STDIN_FILENO) == wait_status::ready && read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

bool test(int listener, long n, int control, bool wait, const std::array<long, 3>& threads) {
  stacktide::set_label("main");
  stacktide::go(accept_all, listener);
  stacktide::yield();
  const long before = resident();
  Outcome outcome{};
  if (stacktide::wait_readable(control) != wait_status::ready || read(control, &outcome, sizeof outcome) != sizeof outcome)
    return false;
  report(n, resident() - before, outcome, threads);
  if (wait) until_input_ends();
  return connections == n && outcome.echoed == 2000;
}

int self_test(long n, bool wait) {
  n = fit_limit(n);
  const auto threads = measure_threads_aside();
  const Listener listener = listen_on(0);
  int control[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0) die("socketpair");
  const pid_t client = fork();
  if (client < 0) die("fork");
  if (client == 0) {
    close(control[0]);
    close(listener.fd);
    run_client(listener.port, n, control[1]);
    std::_Exit(0);
  }
  close(control[1]);
  bool right = false;
  stacktide::run([&] { right = test(listener.fd, n, control[0], wait, threads); });
  close(control[0]);
  int status = 0;
  waitpid(client, &status, 0);
  return right && status == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--self-test") {
    const long n = argc > 2 ? std::atol(argv[2]) : 0;
    if (n > 0) return self_test(n, argc > 3 && std::string_view(argv[3]) == "--wait");
    std::fprintf(stderr, "echo: wants a number of connections from 1 on, as in: echo --self-test 10000\n");
    return 2;
  }
  const Listener listener = listen_on(std::atoi(argc > 1 ? argv[1] : "0"));
  std::printf("listening on 127.0.0.1:%d\n", listener.port);
  std::fflush(stdout);
  stacktide::run([&] { accept_all(listener.fd); });
}

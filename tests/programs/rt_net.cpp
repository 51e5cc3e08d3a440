// Waits for file descriptors: each ends by what it waits for, its deadline or close_fd(), and by nothing else.
//
//   rt_net [ROUNDS]        all that must be right (default 300)
//   rt_net deadlock        a wait for a descriptor is over, and the goroutine waits for nobody: must be noticed
//   rt_net twice           two goroutines wait to read the same descriptor: not allowed
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stacktide/net.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "rt_net_support.h"
#include "rt_support.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using stacktide::close_fd;
using stacktide::go;
using stacktide::wait_group;
using stacktide::wait_readable;
using stacktide::wait_status;
using stacktide::wait_writable;

bool empty(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

void drain(int fd) {
  static thread_local char room[4096];
  while (read(fd, room, sizeof room) > 0) {
  }
}

// By what is there, not by what has come since the last look.
void levels() {
  const Pair p = make_pair();
  RT_CHECK(wait_writable(p.a) == wait_status::ready);
  RT_CHECK(wait_readable(p.b, 0s) == wait_status::timed_out);
  put(p.a, 'x');
  put(p.a, 'y');
  for (int i = 0; i < 3; ++i) RT_CHECK(wait_readable(p.b) == wait_status::ready);
  RT_CHECK(get(p.b) == 'x');
  RT_CHECK(wait_readable(p.b) == wait_status::ready);
  RT_CHECK(get(p.b) == 'y');
  RT_CHECK(wait_readable(p.b, Clock::now() - 1h) == wait_status::timed_out);
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

// Answers one byte for another.
void answer(int fd, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    RT_CHECK(wait_readable(fd) == wait_status::ready);
    put(fd, static_cast<char>(get(fd) + 1));
  }
}

void ask(int fd, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    put(fd, static_cast<char>(i));
    RT_CHECK(wait_readable(fd) == wait_status::ready);
    RT_CHECK(get(fd) == static_cast<char>(i + 1));
  }
}

void many(int pairs, int rounds) {
  wait_group finished;
  finished.add(2 * pairs);
  std::vector<Pair> all;
  for (int i = 0; i < pairs; ++i) {
    const Pair p = make_pair();
    all.push_back(p);
    go([=] {
      const auto f = [=] { answer(p.a, rounds); };
      rt::below(i % rt::kDepths, f);
      finished.done();
    });
    go([=] {
      const auto f = [=] { ask(p.b, rounds); };
      rt::below(i / rt::kDepths % rt::kDepths, f);
      finished.done();
    });
  }
  finished.wait();
  for (const Pair& p : all) RT_CHECK(close(p.a) == 0 && close(p.b) == 0);
}

void deadlines() {
  const Pair p = make_pair();
  const auto start = Clock::now();
  RT_CHECK(wait_readable(p.a, 3ms) == wait_status::timed_out);
  RT_CHECK(Clock::now() - start >= 3ms);
  RT_CHECK(wait_readable(p.a, start + 5ms) == wait_status::timed_out);
  RT_CHECK(Clock::now() - start >= 5ms);
  const auto filled = fill(p.a);
  RT_CHECK(filled > 0);
  RT_CHECK(wait_writable(p.a, 3ms) == wait_status::timed_out);
  wait_group others;
  others.add(2);
  go([=] {
    drain(p.b);
    others.done();
  });
  RT_CHECK(wait_writable(p.a, 1h) == wait_status::ready);
  // Those that lost are gone.
  RT_CHECK(wait_readable(p.a, 3ms) == wait_status::timed_out);
  RT_CHECK(wait_readable(p.a, std::chrono::hours::min()) == wait_status::timed_out);
  go([=] {
    put(p.b, 'z');
    others.done();
  });
  RT_CHECK(wait_readable(p.a, std::chrono::hours::max()) == wait_status::ready);
  others.wait();
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

// A time that is over and a byte that comes, at about the same moment. None of them is lost, and no wait ends for nothing.
void races(int rounds) {
  constexpr int kPairs = 24;
  wait_group finished;
  finished.add(2 * kPairs);
  auto late = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < kPairs; ++i) {
    const Pair p = make_pair();
    go([=] {
      for (int n = 0; n < rounds; ++n) {
        const auto patience = std::chrono::microseconds(20 + (n * 7 + i * 13) % 200);
        for (;;) {
          const auto start = Clock::now();
          const auto status = wait_readable(p.a, patience);
          if (status == wait_status::ready) break;
          RT_CHECK(status == wait_status::timed_out && Clock::now() - start >= patience);
          ++*late;
        }
        RT_CHECK(!empty(p.a));
        RT_CHECK(get(p.a) == static_cast<char>(n));
        put(p.a, 'c');
      }
      finished.done();
    });
    go([=] {
      for (int n = 0; n < rounds; ++n) {
        stacktide::sleep_for(std::chrono::microseconds(20 + (n * 11 + i * 17) % 200));
        put(p.b, static_cast<char>(n));
        RT_CHECK(wait_readable(p.b) == wait_status::ready);
        RT_CHECK(get(p.b) == 'c');
      }
      finished.done();
      RT_CHECK(close(p.b) == 0);
    });
  }
  finished.wait();
  std::printf("%d waits were too short\n", late->load());
}

// Until both slots of fd are taken: a wait that times out must find the other goroutine there.
void closed_while_waiting() {
  for (int round = 0; round < 50; ++round) {
    const Pair p = make_pair();
    fill(p.a);
    wait_group finished;
    auto waiting = std::make_shared<std::atomic<int>>(0);
    finished.add(2);
    go([=] {
      ++*waiting;
      RT_CHECK((round % 2 == 0 ? wait_readable(p.a) : wait_readable(p.a, 1h)) == wait_status::closed);
      finished.done();
    });
    go([=] {
      ++*waiting;
      RT_CHECK((round % 3 == 0 ? wait_writable(p.a, 1h) : wait_writable(p.a)) == wait_status::closed);
      finished.done();
    });
    while (*waiting != 2) stacktide::yield();
    for (int i = 0; i < round % 4; ++i) stacktide::yield();
    // Some rounds from a thread without a P.
    if (round % 5 == 0) {
      RT_CHECK(stacktide::blocking([=] { return close_fd(p.a); }) == 0);
    } else {
      RT_CHECK(close_fd(p.a) == 0);
    }
    finished.wait();
    RT_CHECK(wait_readable(p.a) == wait_status::closed && close_fd(p.a) == EBADF);
    RT_CHECK(close_fd(p.b) == 0);
  }
  RT_CHECK(wait_readable(-1) == wait_status::closed && wait_writable(100000) == wait_status::closed);
}

// Numbers of closed descriptors come back. A copy keeps the old file open, and what happens to it must wake nobody.
void reused(int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const Pair p = make_pair();
    RT_CHECK(wait_readable(p.a, 1us) == wait_status::timed_out);
    const int copy = round % 2 == 0 ? -1 : dup(p.a);
    RT_CHECK(close(p.a) == 0);
    const Pair next = make_pair();
    RT_CHECK(next.a == p.a);
    wait_group finished;
    finished.add(1);
    go([=] {
      RT_CHECK(wait_readable(next.a) == wait_status::ready);
      RT_CHECK(get(next.a) == 'n');
      finished.done();
    });
    stacktide::yield();
    if (copy >= 0) put(p.b, 'o');
    stacktide::yield();
    put(next.b, 'n');
    finished.wait();
    if (copy >= 0) RT_CHECK(close(copy) == 0);
    RT_CHECK(close(p.b) == 0 && close(next.a) == 0 && close(next.b) == 0);
  }
}

void send_all(int fd, std::size_t bytes) {
  char chunk[1000];
  for (std::size_t sent = 0; sent < bytes;) {
    const std::size_t n = std::min(sizeof chunk, bytes - sent);
    for (std::size_t i = 0; i < n; ++i) chunk[i] = static_cast<char>((sent + i) % 251);
    const ssize_t done = write(fd, chunk, n);
    if (done > 0) sent += static_cast<std::size_t>(done);
    if (done < 0) {
      RT_CHECK(errno == EAGAIN);
      RT_CHECK(wait_writable(fd) == wait_status::ready);
    }
  }
}

void receive_all(int fd, std::size_t bytes) {
  char chunk[700];
  for (std::size_t got = 0; got < bytes;) {
    const ssize_t n = read(fd, chunk, sizeof chunk);
    if (n < 0) {
      RT_CHECK(errno == EAGAIN);
      RT_CHECK(wait_readable(fd) == wait_status::ready);
      continue;
    }
    RT_CHECK(n > 0);
    for (ssize_t i = 0; i < n; ++i) RT_CHECK(chunk[i] == static_cast<char>((got + static_cast<std::size_t>(i)) % 251));
    got += static_cast<std::size_t>(n);
  }
}

// Both slots of both ends.
void both_ways() {
  constexpr std::size_t kBytes = 1 << 20;
  const Pair p = make_pair();
  wait_group finished;
  finished.add(4);
  for (const int fd : {p.a, p.b}) {
    go([=] {
      send_all(fd, kBytes);
      finished.done();
    });
    go([=] {
      receive_all(fd, kBytes);
      finished.done();
    });
  }
  finished.wait();
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

// A port of 127.0.0.1 where nobody listens.
sockaddr_in refused_port() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  socklen_t size = sizeof address;
  RT_CHECK(fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  RT_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  RT_CHECK(close(fd) == 0);
  return address;
}

void ends() {
  Pair p = make_pair();
  go([=] { RT_CHECK(close(p.b) == 0); });
  RT_CHECK(wait_readable(p.a) == wait_status::ready);
  char byte = 0;
  RT_CHECK(read(p.a, &byte, 1) == 0);
  RT_CHECK(close_fd(p.a) == 0);

  p = make_pair();
  wait_group shut;
  shut.add(1);
  go([=] {
    RT_CHECK(shutdown(p.b, SHUT_WR) == 0);
    shut.done();
  });
  RT_CHECK(wait_readable(p.a) == wait_status::ready);
  RT_CHECK(read(p.a, &byte, 1) == 0);
  shut.wait();
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);

  int pipe_ends[2];
  RT_CHECK(pipe(pipe_ends) == 0 && stacktide::nonblocking(pipe_ends[0]) && stacktide::nonblocking(pipe_ends[1]));
  fill(pipe_ends[1]);
  go([reader = pipe_ends[0]] { RT_CHECK(close(reader) == 0); });
  RT_CHECK(wait_writable(pipe_ends[1]) == wait_status::ready);
  RT_CHECK(write(pipe_ends[1], &byte, 1) < 0 && errno == EPIPE);
  RT_CHECK(close_fd(pipe_ends[1]) == 0);

  const sockaddr_in address = refused_port();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == EINPROGRESS) {
    RT_CHECK(wait_writable(fd) == wait_status::ready);
    int problem = 0;
    socklen_t size = sizeof problem;
    RT_CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem == ECONNREFUSED);
  }
  RT_CHECK(close_fd(fd) == 0);

  std::FILE* file = std::fopen("/proc/self/statm", "r");
  RT_CHECK(file != nullptr);
  RT_CHECK(wait_readable(fileno(file)) == wait_status::ready);
  std::fclose(file);
  RT_CHECK(!stacktide::nonblocking(-1));
}

// Nothing but a descriptor can wake anybody, and it is long in coming, from outside.
void from_outside(int fd, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    RT_CHECK(wait_readable(fd) == wait_status::ready);
    RT_CHECK(get(fd) == static_cast<char>(i));
  }
}

void outside() {
  constexpr int kRounds = 5;
  const Pair p = make_pair();
  std::thread writer([p] {
    for (int i = 0; i < kRounds; ++i) {
      std::this_thread::sleep_for(5ms);
      put(p.b, static_cast<char>(i));
    }
  });
  stacktide::run([p] { from_outside(p.a, kRounds); });
  writer.join();
  // Nobody was waiting.
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

void deadlock() {
  const Pair p = make_pair();
  RT_CHECK(wait_readable(p.a, 2ms) == wait_status::timed_out);
  wait_group woken;
  woken.add(1);
  go([=] {
    RT_CHECK(wait_readable(p.a) == wait_status::ready);
    woken.done();
  });
  stacktide::yield();
  put(p.b, 'x');
  woken.wait();
  stacktide::channel<int>::make().recv();
}

void twice() {
  const Pair p = make_pair();
  go([=] { wait_readable(p.a); });
  stacktide::yield();
  for (;;) {
    RT_CHECK(wait_readable(p.a, 1ms) == wait_status::timed_out);
    stacktide::yield();
  }
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "deadlock") stacktide::run(deadlock);
  if (what == "twice") stacktide::run(twice);
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
  stacktide::run(levels);
  stacktide::run(deadlines);
  stacktide::run(closed_while_waiting);
  stacktide::run([rounds] { reused(rounds); });
  stacktide::run(ends);
  outside();
  stacktide::run(both_ways);
  stacktide::run([rounds] { many(200, rounds / 20 + 1); });
  stacktide::run([rounds] { races(rounds / 5 + 1); });
  std::puts("right");
}

// moments: goroutines that come, go and grow on command, so that two moments of the program differ by what a test asked for.
//
//   serve N   N goroutines more, each waits for a request in serve()
//   finish N  N of those end
//   leak N    N goroutines more, each waits in leak() for what never comes
//   deepen    the one that has waited in shallow() goes 40 calls down and waits in deep(), on a larger stack
//
// After each command, once all wait again, it says "ready N", N being how many have been started.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

using Channel = stacktide::channel<int>;

struct Channels {
  Channel requests = Channel::make();
  Channel never = Channel::make();
  Channel begin = Channel::make();
  Channel end = Channel::make();
};

[[gnu::noinline]] void serve(Channel requests) { requests.recv(); }
[[gnu::noinline]] void leak(Channel never) { never.recv(); }

[[gnu::noinline]] int deep(int depth, Channel end) {
  volatile int room[24];
  room[depth % 24] = depth;
  if (depth == 0) {
    end.recv();
    return 0;
  }
  return deep(depth - 1, end) + room[depth % 24];
}

[[gnu::noinline]] void shallow(Channel begin, Channel end) {
  begin.recv();
  if (deep(40, end) != 820) std::abort();
}

// A line of standard input; false at its end.
static bool read_line(char* line, std::size_t size) {
  std::size_t length = 0;
  while (length + 1 < size && read(STDIN_FILENO, line + length, 1) == 1) {
    if (line[length] == '\n') {
      line[length] = '\0';
      return true;
    }
    ++length;
  }
  return false;
}

static void wait_for(Channel channel, std::size_t waiting) {
  while (channel.waiting() != waiting) stacktide::yield();
}

static void start_servers(Channel requests, int n) {
  for (int i = 0; i < n; ++i) stacktide::go(serve, requests);
}
static void start_leaks(Channel never, int n) {
  for (int i = 0; i < n; ++i) stacktide::go(leak, never);
}

int main() {
  stacktide::run([] {
    const Channels channels;
    stacktide::go(shallow, channels.begin, channels.end);
    wait_for(channels.begin, 1);
    std::size_t servers = 0;
    std::size_t leaks = 0;
    for (;;) {
      // Others write to this: outside any goroutine's stack.
      static char line[64];
      const bool more = stacktide::blocking([servers, leaks] {
        std::printf("ready %zu\n", servers + leaks);
        std::fflush(stdout);
        return read_line(line, sizeof line);
      });
      if (!more) std::_Exit(0);
      const char* space = std::strchr(line, ' ');
      const int n = space == nullptr ? 0 : std::atoi(space);
      if (std::strncmp(line, "serve", 5) == 0) {
        start_servers(channels.requests, n);
        servers += static_cast<std::size_t>(n);
      } else if (std::strncmp(line, "leak", 4) == 0) {
        start_leaks(channels.never, n);
        leaks += static_cast<std::size_t>(n);
      } else if (std::strncmp(line, "finish", 6) == 0) {
        for (int i = 0; i < n; ++i) channels.requests.send(i);
        servers -= static_cast<std::size_t>(n);
      } else if (std::strncmp(line, "deepen", 6) == 0) {
        channels.begin.send(1);
        wait_for(channels.end, 1);
      }
      wait_for(channels.requests, servers);
      wait_for(channels.never, leaks);
    }
  });
}

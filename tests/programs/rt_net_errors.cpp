// Waits for file descriptors that end otherwise than by what they wait for: no descriptor is left, the kernel has no memory
// or no watches left, somebody closes what is waited for.
//
//   rt_net_errors             all that must be right, with one P
//   rt_net_errors lost-WHAT   closes the runtime's own descriptors, which must be noticed: then waits for another (WHAT is
//                             wait), sleeps (sleep), or keeps its P busy (busy)
//
// The kernel's own limits (fs.epoll.max_user_watches, memory) cannot be lowered for one process, so epoll_ctl() below stands
// before the C library's.
#include <signal.h>
#include <stacktide/net.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <memory>
#include <string_view>

#include "rt_net_support.h"
#include "rt_support.h"

namespace {

using namespace std::chrono_literals;
using stacktide::close_fd;
using stacktide::go;
using stacktide::wait_group;
using stacktide::wait_readable;
using stacktide::wait_status;
using stacktide::wait_writable;

std::atomic<int> epoll_error = 0;  // what epoll_ctl() fails with, 0: it works

}  // namespace

extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  if (const int error = epoll_error.load(); error != 0) {
    errno = error;
    return -1;
  }
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

namespace {

// With one P: the others run until they wait.
void let_wait() {
  for (int i = 0; i < 20; ++i) stacktide::yield();
}

// The lowest descriptor that is free.
int lowest_free() {
  const int fd = dup(STDERR_FILENO);
  RT_CHECK(fd >= 0 && close(fd) == 0);
  return fd;
}

// No descriptor from `limit` on may be opened.
void limit_descriptors(rlim_t limit) {
  rlimit now{};
  RT_CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0);
  now.rlim_cur = limit;
  RT_CHECK(setrlimit(RLIMIT_NOFILE, &now) == 0);
}

template <class Wait>
void fails(int error, Wait wait) {
  errno = 0;
  RT_CHECK(wait() == wait_status::failed);
  RT_CHECK(errno == error);
}

// The first waits, with room for none, then for one of the two descriptors that the runtime needs.
void no_descriptors() {
  const Pair p = make_pair();
  rlimit before{};
  RT_CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int free = lowest_free();
  for (int room = 0; room < 2; ++room) {
    limit_descriptors(static_cast<rlim_t>(free + room));
    fails(EMFILE, [&] { return wait_readable(p.a); });
    fails(EMFILE, [&] { return wait_readable(p.a, 1h); });
    // To ask needs none.
    RT_CHECK(wait_readable(p.a, 0s) == wait_status::timed_out);
    RT_CHECK(wait_writable(p.a) == wait_status::ready);
    put(p.b);
    RT_CHECK(wait_readable(p.a) == wait_status::ready);
    get(p.a);
    limit_descriptors(before.rlim_cur);
    RT_CHECK(lowest_free() == free);
  }
  epoll_error = ENOMEM;
  fails(ENOMEM, [&] { return wait_readable(p.a); });
  epoll_error = 0;
  RT_CHECK(lowest_free() == free);

  RT_CHECK(wait_readable(p.a, 1ms) == wait_status::timed_out);
  go([=] { put(p.b); });
  RT_CHECK(wait_readable(p.a) == wait_status::ready);
  get(p.a);
  // The two are there, and no other.
  RT_CHECK(lowest_free() == free + 2);
  for (int fd = free; fd < free + 2; ++fd) RT_CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  // Full again: what is there is enough.
  limit_descriptors(static_cast<rlim_t>(free));
  go([=] { put(p.b); });
  RT_CHECK(wait_readable(p.a) == wait_status::ready);
  get(p.a);
  limit_descriptors(before.rlim_cur);
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

void no_watches() {
  const Pair p = make_pair();
  for (const int error : {ENOSPC, ENOMEM}) {
    epoll_error = error;
    fails(error, [&] { return wait_readable(p.a); });
    fails(error, [&] { return wait_readable(p.a, 1h); });
    epoll_error = 0;
    // It left nothing behind: the same wait may be tried again.
    RT_CHECK(wait_readable(p.a, 1ms) == wait_status::timed_out);
  }
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

void drain(int fd) {
  static char room[4096];
  while (read(fd, room, sizeof room) > 0) {
  }
}

// One report is for both directions: who waits for the other one is put back, and is woken by what it waits for alone.
void second_watch(bool reader_first, bool timed) {
  const Pair p = make_pair();
  fill(p.a);
  wait_group finished;
  finished.add(2);
  const auto woken = std::make_shared<std::atomic<int>>(0);
  go([=] {
    RT_CHECK((timed ? wait_readable(p.a, 1h) : wait_readable(p.a)) == wait_status::ready);
    RT_CHECK(++*woken == (reader_first ? 1 : 2));
    get(p.a);
    finished.done();
  });
  go([=] {
    RT_CHECK((timed ? wait_writable(p.a, 1h) : wait_writable(p.a)) == wait_status::ready);
    RT_CHECK(++*woken == (reader_first ? 2 : 1));
    finished.done();
  });
  let_wait();
  for (const bool read : {reader_first, !reader_first}) {
    const int before = *woken;
    if (read) {
      put(p.b);
    } else {
      drain(p.b);
    }
    while (*woken == before) stacktide::sleep_for(100us);
    RT_CHECK(*woken == before + 1);
  }
  finished.wait();
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

// The same when putting it back fails: it hears of that, with or without a deadline.
void no_second_watch(bool timed) {
  const Pair p = make_pair();
  fill(p.a);
  wait_group finished;
  finished.add(2);
  go([=] {
    RT_CHECK(wait_readable(p.a) == wait_status::ready);
    finished.done();
  });
  go([=] {
    fails(ENOMEM, [&] { return timed ? wait_writable(p.a, 1h) : wait_writable(p.a); });
    finished.done();
  });
  let_wait();
  epoll_error = ENOMEM;
  put(p.b);
  finished.wait();
  epoll_error = 0;
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

// A second wait that fails takes nothing from the first.
void first_watch_stays() {
  const Pair p = make_pair();
  fill(p.a);
  wait_group finished;
  finished.add(1);
  go([=] {
    RT_CHECK(wait_readable(p.a, 10s) == wait_status::ready);
    finished.done();
  });
  let_wait();
  epoll_error = ENOMEM;
  fails(ENOMEM, [&] { return wait_writable(p.a); });
  epoll_error = 0;
  put(p.b);
  finished.wait();
  RT_CHECK(close_fd(p.a) == 0 && close_fd(p.b) == 0);
}

void closed_by_close() {
  const Pair p = make_pair();
  fill(p.a);
  const int copy = dup(p.a);
  wait_group finished;
  finished.add(2);
  // The copy keeps the file in the kernel's set, so its report comes; who waits for the other direction hears then.
  go([=] {
    RT_CHECK(wait_readable(p.a) == wait_status::ready);
    finished.done();
  });
  go([=] {
    RT_CHECK(wait_writable(p.a) == wait_status::closed);
    finished.done();
  });
  let_wait();
  RT_CHECK(close(p.a) == 0);
  put(p.b);
  finished.wait();
  RT_CHECK(wait_readable(p.a) == wait_status::closed);
  RT_CHECK(close(copy) == 0 && close(p.b) == 0);

  // Without one the kernel forgets it: nothing but the deadline ends the wait.
  const Pair q = make_pair();
  wait_group over;
  over.add(1);
  go([=] {
    RT_CHECK(wait_readable(q.a, 20ms) == wait_status::timed_out);
    over.done();
  });
  let_wait();
  RT_CHECK(close(q.a) == 0);
  RT_CHECK(close(q.b) == 0);
  over.wait();
  // The number is as good as new.
  const Pair next = make_pair();
  RT_CHECK(next.a == q.a);
  go([=] { put(next.b); });
  RT_CHECK(wait_readable(next.a) == wait_status::ready);
  RT_CHECK(close_fd(next.a) == 0 && close_fd(next.b) == 0);
}

void no_such_descriptor() {
  for (const int fd : {-1, INT_MIN, 1 << 20, 1 << 24, INT_MAX}) {
    RT_CHECK(wait_readable(fd) == wait_status::closed && wait_writable(fd, 1h) == wait_status::closed);
    RT_CHECK(close_fd(fd) == EBADF);
  }
}

void lose_descriptors(std::string_view what) {
  const Pair p = make_pair();
  RT_CHECK(wait_readable(p.a, 1ms) == wait_status::timed_out);
  for (int fd = p.b + 1; close(fd) == 0; ++fd) {
  }
  if (what == "wait") wait_readable(p.a);
  if (what == "sleep") stacktide::sleep_for(1h);
  while (what == "busy") stacktide::yield();
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what.starts_with("lost-")) {
    stacktide::run([what] { lose_descriptors(what.substr(5)); });
    return 0;
  }
  stacktide::run(no_descriptors);
  stacktide::run(no_watches);
  for (int i = 0; i < 4; ++i) stacktide::run([i] { second_watch(i % 2 == 0, i / 2 == 0); });
  stacktide::run([] { no_second_watch(false); });
  stacktide::run([] { no_second_watch(true); });
  stacktide::run(first_watch_stays);
  stacktide::run(closed_by_close);
  stacktide::run(no_such_descriptor);
  std::puts("right");
}

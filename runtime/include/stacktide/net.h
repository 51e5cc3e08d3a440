// Waiting for file descriptors: sockets, pipes, terminals, whatever poll(2) can wait for. A goroutine that waits costs no
// thread.
//
//   void echo(int fd) {
//     char text[512];
//     while (stacktide::wait_readable(fd) == stacktide::wait_status::ready) {
//       const ssize_t n = read(fd, text, sizeof text);
//       if (n <= 0 && errno != EAGAIN) break;
//       ...
//
// read(), accept() and their like are called as ever; the descriptor should be nonblocking(), or a call for which there is
// nothing after all (another goroutine was faster) keeps its thread. Wait before the call, or after one that said EAGAIN:
// both are right, since what counts is whether the descriptor is ready, not whether it has just become so.
//
// Up to one goroutine may wait to read and one to write each descriptor at a time; a second one ends the program.
//
// A descriptor that others may be waiting for is closed by close_fd(), which wakes them; if nobody waits, close() is as
// good. After a close() they go on waiting: until their deadline, for ever, or until the next file of that number is ready,
// if somebody waits for that too.
//
// The first wait that is not over at once opens two descriptors for the runtime, closed by exec(). A program that closes
// them ends. A child of fork() shares them until then: close_fd() there would take its parent's watch away; use close().
#pragma once

#include <fcntl.h>

#include <chrono>
#include <cstdint>

#include "stacktide/detail/deadline.h"
#include "stacktide/detail/entries.h"

namespace stacktide {

enum class wait_status : std::uint64_t {
  timed_out = 0,
  ready = 1,   // the next call will not block; it may say end of file, or an error
  closed = 2,  // not an open descriptor, or close_fd() came meanwhile
  // errno says why: ENOMEM; ENOSPC, no more watches for this user (sysctl fs.epoll.max_user_watches); at a first wait also
  // EMFILE or ENFILE. It may be tried again.
  failed = 3,
};

namespace detail {

template <class Rep, class Period>
std::int64_t net_deadline(std::chrono::duration<Rep, Period> timeout) {
  return deadline_after(timeout);
}
template <class Duration>
std::int64_t net_deadline(std::chrono::time_point<std::chrono::steady_clock, Duration> when) {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(when).time_since_epoch().count();
}
inline wait_status net_wait(int fd, std::uint64_t direction, std::int64_t deadline) {
  return static_cast<wait_status>(stacktide_net_wait(fd, direction, deadline));
}

}  // namespace detail

// Waits until fd can be read, written; for ever, or at most for a duration, or until a moment of steady_clock. A time that
// has passed already only asks. At a listening socket, accept() is reading; a connect() in progress is over when writing is
// possible.
inline wait_status wait_readable(int fd) { return detail::net_wait(fd, 0, INT64_MAX); }
inline wait_status wait_writable(int fd) { return detail::net_wait(fd, 1, INT64_MAX); }
template <class Time>
wait_status wait_readable(int fd, Time limit) {
  return detail::net_wait(fd, 0, detail::net_deadline(limit));
}
template <class Time>
wait_status wait_writable(int fd, Time limit) {
  return detail::net_wait(fd, 1, detail::net_deadline(limit));
}

// Calls on fd that would block say EAGAIN from now on. False: it is not open. accept4() and socket() can do the same by
// SOCK_NONBLOCK.
inline bool nonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

// Ends the waits for fd (wait_status::closed) and closes it. Returns 0, or the error number of close(2). If the socket
// lingers (SO_LINGER), call it in blocking(): it keeps the processor meanwhile.
inline int close_fd(int fd) { return static_cast<int>(detail::stacktide_net_close(fd)); }

}  // namespace stacktide

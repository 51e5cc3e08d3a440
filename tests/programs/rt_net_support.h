// Connected sockets, for the programs that wait for them: rt_net and rt_net_errors.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "rt_support.h"

struct Pair {
  int a;
  int b;
};

inline Pair make_pair() {
  int ends[2];
  RT_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  return {ends[0], ends[1]};
}

inline void put(int fd, char byte = 'x') { RT_CHECK(write(fd, &byte, 1) == 1); }

inline char get(int fd) {
  char byte = 0;
  RT_CHECK(read(fd, &byte, 1) == 1);
  return byte;
}

// Until writing would block.
inline std::size_t fill(int fd) {
  static const char zeros[4096] = {};
  std::size_t filled = 0;
  for (ssize_t n = 0; (n = write(fd, zeros, sizeof zeros)) > 0;) filled += static_cast<std::size_t>(n);
  RT_CHECK(errno == EAGAIN);
  return filled;
}

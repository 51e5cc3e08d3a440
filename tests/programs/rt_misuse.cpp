// Misuses what goroutines wait for, waits in every way there is, or waits for ever, as the command line says.
#include <stacktide/select.h>

#include <unistd.h>

#include <string_view>

#include "rt_support.h"

namespace {

using namespace std::chrono_literals;
using stacktide::channel;
using stacktide::go;
using stacktide::on_recv;
using stacktide::on_send;

template <class Waited>
void yield_until_waiting(const Waited& on, std::size_t n) {
  while (on.waiting() != n) stacktide::yield();
}

void unlock_unlocked() {
  const stacktide::mutex m;
  m.lock();
  m.unlock();
  m.unlock();
}

void unlock_twice_while_woken() {
  const stacktide::mutex m;
  m.lock();
  go([=] { m.lock(); });
  yield_until_waiting(m, 1);
  m.unlock();
  // The other one may have it by now, and be robbed.
  while (true) m.unlock();
}

void close_while_sending() {
  const auto c = channel<int>::make();
  go([=] { c.send(1); });
  yield_until_waiting(c, 1);
  c.close();
  stacktide::select();
}

void select_sends_on_closed() {
  const auto c = channel<int>::make(1);
  c.close();
  stacktide::select(on_send(c, 1), stacktide::otherwise());
}

void close_while_selecting() {
  const auto c = channel<int>::make();
  const auto d = channel<int>::make();
  go([=] { stacktide::select(on_recv(d), on_send(c, 1), stacktide::after(1h)); });
  yield_until_waiting(c, 1);
  c.close();
  stacktide::select();
}

int selecting_compare(const void*, const void*) {
  stacktide::select(on_recv(channel<int>::make()));
  return 0;
}
void select_in_callback() {
  int values[2] = {2, 1};
  std::qsort(values, 2, sizeof values[0], selecting_compare);
}

// One goroutine for each thing to wait for; the first one goes on.
void wait_for_all() {
  const auto c = channel<int>::make();
  const stacktide::mutex m;
  const stacktide::once first;
  const stacktide::wait_group group;
  group.add(1);
  m.lock();
  go([] { stacktide::select(); });
  go([=] { stacktide::select(on_recv(c), on_send(c, 1)); });
  go([] { stacktide::select(on_recv(channel<int>())); });
  go([=] { m.lock(); });
  go([=] { first.call([&] { group.wait(); }); });
  yield_until_waiting(c, 2);
  yield_until_waiting(m, 1);
  go([=] { first.call([] {}); });
  for (int i = 0; i < 20; ++i) stacktide::yield();
}

void deadlock() {
  wait_for_all();
  stacktide::set_label("main");
  channel<int>().recv();
}

// Timers that lost do not count as something that may still happen.
void deadlock_after_lost_timeout() {
  const auto c = channel<int>::make();
  go([=] {
    yield_until_waiting(c, 1);
    c.send(1);
  });
  stacktide::select(on_recv(c), stacktide::after(1h));
  c.recv();
}

// A timer that is pending does: the program goes on, and its end is not a deadlock.
void no_deadlock_before_timeout() {
  const auto c = channel<int>::make();
  if (stacktide::select(on_recv(c), stacktide::after(20ms)) == 1) std::puts("late");
}

// Prints `ready` and waits for the end of its input.
void waits() {
  wait_for_all();
  std::puts("ready");
  std::fflush(stdout);
  stacktide::blocking([] {
    char byte = 0;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
  });
}

constexpr rt::Test kTests[] = {{"unlock_unlocked", unlock_unlocked},
                               {"unlock_twice_while_woken", unlock_twice_while_woken},
                               {"close_while_sending", close_while_sending},
                               {"select_sends_on_closed", select_sends_on_closed},
                               {"close_while_selecting", close_while_selecting},
                               {"select_in_callback", select_in_callback},
                               {"deadlock", deadlock},
                               {"deadlock_after_lost_timeout", deadlock_after_lost_timeout},
                               {"no_deadlock_before_timeout", no_deadlock_before_timeout},
                               {"waits", waits}};

}  // namespace

int main(int argc, char** argv) {
  for (const rt::Test& test : kTests) {
    if (argc == 2 && std::string_view(argv[1]) == test.name) stacktide::run(test.run);
  }
}

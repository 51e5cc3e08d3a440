// Handles in every state that a printer shows, for debuggers to look at: `handles` points at all of them when the program
// says "ready".
//
//   rt_handles [CROWD]
//
// Run it with STACKTIDE_MAXPROCS=1: a goroutine that was begun then waits before the next one begins, so the ids are known.
// A debugger that is there before may stop in show(). CROWD more goroutines wait on a channel of their own, to show that
// printing does not depend on their number. The program ends with its input.
#include <stacktide/select.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include "rt_support.h"

using stacktide::channel;

struct Point {
  short x;
  short y;
};
// As small as a word, but a channel keeps it in the heap: it is not trivial.
struct Counted {
  Counted() = default;
  explicit Counted(int value) : number(value) {}
  Counted(const Counted& other) : number(other.number) {}
  Counted& operator=(const Counted&) = default;
  int number = 0;
};

using Numbers = channel<int>;

struct Handles {
  channel<int> nil;
  Numbers buffered = channel<int>::make(8);
  channel<int> received = channel<int>::make(8);
  channel<std::string> sent = channel<std::string>::make(1);
  channel<double> closed = channel<double>::make(2);
  channel<char> crowded = channel<char>::make();
  channel<Point> points = channel<Point>::make(4);
  channel<Counted> counted = channel<Counted>::make(4);
  channel<long> selected = channel<long>::make();
  stacktide::mutex free;
  stacktide::mutex held;
  stacktide::wait_group group;
  stacktide::once fresh;
  stacktide::once done;
  std::array<channel<int>, 1000> many;
};

Handles* handles = nullptr;
std::atomic<int> begun = 0;

template <class F>
void begin(F waits) {
  const int before = begun.load();
  stacktide::go([waits] {
    begun.fetch_add(1);
    waits();
  });
  while (begun.load() == before) stacktide::yield();
  stacktide::yield();
}

[[gnu::noinline]] void show(const Handles& all, const channel<int>* pointer, const Numbers& alias, Numbers copy) {
  RT_CHECK(all.buffered == copy && alias == copy && *pointer == all.received);
  asm volatile("" ::: "memory");
}

int main(int argc, char** argv) {
  const int crowd = argc > 1 ? std::atoi(argv[1]) : 0;
  stacktide::run([crowd] {
    handles = new Handles;
    Handles& all = *handles;
    all.buffered.send(7);
    all.buffered.send(11);
    for (int i = 0; i < 3; ++i) begin([] { handles->received.recv(); });  // 2, 3, 4
    all.sent.send("first");
    begin([] { handles->sent.send("second, which is longer than what a string keeps in place"); });  // 5
    all.closed.send(1.5);
    all.closed.close();
    for (int i = 0; i < 12; ++i) begin([] { handles->crowded.recv(); });  // 6 to 17
    all.points.send({3, -4});
    all.counted.send(Counted(5));
    begin([] { stacktide::select(stacktide::on_recv(handles->selected), stacktide::on_recv(handles->crowded)); });  // 18
    all.held.lock();
    for (int i = 0; i < 2; ++i) begin([] { handles->held.lock(); });  // 19, 20
    all.group.add(3);
    begin([] { handles->group.wait(); });  // 21
    all.done.call([] {});
    for (auto& one : all.many) one = all.buffered;
    auto theirs = channel<int>::make();
    for (int i = 0; i < crowd; ++i) stacktide::go([theirs] { theirs.recv(); });
    while (theirs.waiting() < static_cast<std::size_t>(crowd)) stacktide::yield();
    show(all, &all.received, all.sent ? all.buffered : all.nil, all.buffered);
    std::puts("ready");
    std::fflush(stdout);
    stacktide::blocking([] {
      for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
      }
    });
    std::_Exit(0);
  });
}

// What a goroutine gives away, rightly and wrongly, for tests/e2e/runtime_escape_test.cpp. Built MOVABLE and pinned.
//
//   rt_escape HOW [TIMES]
//
// HOW is a function below. Each ends with exit code 0: a report of an address that escapes goes to stderr, and the values
// are right all the same as long as nothing moves.
#include <stacktide/select.h>

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rt_support.h"

namespace {

int times = 1;

// Leaves an address all over the stack below and in free heap blocks: what an object has there that is not written.
[[gnu::noinline]] void leave_address(const void* live) {
  const void* volatile words[96];
  for (auto& word : words) word = live;
  RT_CHECK(words[95] == live);
  for (std::size_t n = 2; n <= 32; n += 2) {
    const void** blocks[4];
    for (auto& block : blocks) {
      block = new const void*[n];
      for (std::size_t i = 0; i < n; ++i) block[i] = live;
      asm volatile("" : : "r"(block) : "memory");
    }
    for (auto& block : blocks) delete[] block;
  }
}

// The address of something that is gone.
[[gnu::noinline]] const void* old_address() {
  volatile char room[400];
  room[200] = 0;
  const volatile void* address = &room[200];
  asm volatile("" : "+r"(address));
  return const_cast<const void*>(address);
}

// Sends what `make` makes, from a frame of its own, below `live`.
template <class Make, class T>
[[gnu::noinline]] T pass(const void* live, stacktide::channel<T> through, Make make) {
  leave_address(live);
  [&]() __attribute__((noinline)) {
    T value = make();
    through.send(std::move(value));
  }
  ();
  return *through.recv();
}

void wait_for(stacktide::wait_group group) { group.wait(); }

}  // namespace

// By reference: the goroutine would find the old place.
void lambda_by_reference() {
  int local = 1;
  char other = 2;
  stacktide::wait_group finished;
  finished.add(times);
  for (int i = 0; i < times; ++i) {
    stacktide::go([finished, &local, &other]() mutable {
      RT_CHECK(local == 1 && other == 2);
      finished.done();
    });
  }
  wait_for(finished);
}

[[gnu::noinline]] void give_argument(const int* pointer, stacktide::wait_group finished) {
  stacktide::go([](int, const int* p, stacktide::wait_group group) { RT_CHECK(*p == 1), group.done(); }, 7, pointer,
                finished);
}

// As an argument, from a function below the one whose local it is.
void pointer_argument() {
  const int local = 1;
  stacktide::wait_group finished;
  finished.add(1);
  give_argument(&local, finished);
  wait_for(finished);
}

// The same text and more, twice from one place and once from another.
void send_pointer() {
  auto pointers = stacktide::channel<const int*>::make(3);
  const int local = 1;
  for (int i = 0; i < 2; ++i) pointers.send(&local);
  pointers.send(&local);
  RT_CHECK(pointers.size() == 3 && pointers.recv() == &local);
}

struct Message {
  long number;
  const char* text;
  std::array<long, 20> rest;
};

void select_sends() {
  auto pointers = stacktide::channel<const int*>::make(1);
  const int local = 1;
  stacktide::select(stacktide::on_send(pointers, &local));
  RT_CHECK(pointers.recv() == &local);
}

void send_structure() {
  auto messages = stacktide::channel<Message>::make(2);
  char text[8] = "hello";
  const Message message{1, text, {}};
  RT_CHECK(messages.try_send(message));
  RT_CHECK(messages.recv()->number == 1);
}

void send_view() {
  auto views = stacktide::channel<std::string_view>::make(1);
  const std::string text = "short";
  views.send(text);
  RT_CHECK(views.recv()->size() == 5);
}

void reference_wrapper() {
  int local = 1;
  stacktide::wait_group finished;
  finished.add(1);
  stacktide::go([](int& value, stacktide::wait_group group) { RT_CHECK(value == 1), group.done(); }, std::ref(local),
                finished);
  wait_for(finished);
}

// Another goroutine's local, passed on. The second sender's own stack has nothing to do with it.
void pass_on() {
  auto pointers = stacktide::channel<const int*>::make(1);
  auto again = stacktide::channel<const int*>::make(1);
  const int local = 1;
  pointers.send(&local);
  stacktide::go([pointers, again]() mutable { again.send(*pointers.recv()); });
  RT_CHECK(again.recv() == &local);
}

template <class T, class Make>
T passed(const void* live, Make make) {
  return pass(live, stacktide::channel<T>::make(1), make);
}

// Nothing here escapes.
void valid() {
  using Function = std::function<long(long)>;
  using Map = std::map<int, int>;
  using Pair = std::pair<std::string, std::unique_ptr<int>>;
  using Optional = std::optional<std::string>;
  const long kept = 40;
  stacktide::wait_group finished;
  for (int i = 0; i < times; ++i) {
    RT_CHECK(passed<std::string>(&kept, [] { return std::string("short"); }) == "short");
    RT_CHECK(passed<std::string>(&kept, [] { return std::string(35, 'x'); }).size() == 35);
    RT_CHECK(passed<Function>(&kept, [kept] { return Function([kept](long x) { return kept + x; }); })(2) == 42);
    RT_CHECK(passed<Function>(&kept, [] { return Function([](long x) { return x; }); })(2) == 2);
    RT_CHECK(passed<Function>(&kept, [] { return Function(); }) == nullptr);
    RT_CHECK(passed<std::shared_ptr<Map>>(&kept, [] { return std::make_shared<Map>(); })->empty());
    RT_CHECK(passed<std::vector<std::string>>(&kept, [] { return std::vector<std::string>(2); }).size() == 2);
    RT_CHECK(!passed<Optional>(&kept, [] { return Optional(); }).has_value());
    RT_CHECK((passed<Pair>(&kept, [i] { return std::pair("pair", std::make_unique<int>(i)); }).first == "pair"));
    RT_CHECK(passed<double>(&kept, [] { return 1.5; }) == 1.5);
    RT_CHECK(passed<const void*>(&kept, [] { return old_address(); }) != nullptr);
    RT_CHECK(passed<std::uintptr_t>(&kept, [&kept] { return reinterpret_cast<std::uintptr_t>(&kept); }) != 0);
    finished.add(2);
    leave_address(&kept);
    stacktide::go([text = std::string("short"), function = Function([kept](long x) { return kept + x; }), flag = true,
                   finished, i]() mutable {
      RT_CHECK(text == "short" && function(2) == 42 && flag && i >= 0);
      finished.done();
    });
    leave_address(&kept);
    const auto target = [](std::string text, char, std::optional<long> none, stacktide::wait_group group) {
      RT_CHECK(text == "argument" && !none);
      group.done();
    };
    stacktide::go(target, "argument", 'c', std::optional<long>(), finished);
    finished.wait();
  }
}

// Objects with alignments of their own, and with an operator new that must not be used for them.
struct alignas(256) Aligned {
  long number = 3;
  char padding[300];
};
struct OwnNew {
  std::string text;
  static void* operator new(std::size_t) = delete;
  static void operator delete(void*) {}
};
struct Throws {
  Throws() = default;
  Throws(const Throws&) { throw 5; }
  std::string text;
};

void kinds_of_memory() {
  auto aligned = stacktide::channel<Aligned>::make(1);
  aligned.send(Aligned{});
  RT_CHECK(aligned.recv()->number == 3);
  auto own = stacktide::channel<OwnNew>::make(1);
  own.send(OwnNew{"text"});
  RT_CHECK(own.recv()->text == "text");
  Aligned capture;
  stacktide::wait_group finished;
  finished.add(1);
  stacktide::go([capture, finished]() mutable {
    RT_CHECK(reinterpret_cast<std::uintptr_t>(&capture) % alignof(Aligned) == 0);
    finished.done();
  });
  finished.wait();
  auto throwing = stacktide::channel<Throws>::make(1);
  const Throws value;
  int caught = 0;
  try {
    throwing.try_send(value);
  } catch (int number) {
    caught = number;
  }
  RT_CHECK(caught == 5 && throwing.size() == 0);
}

int main(int argc, char** argv) {
  const std::pair<std::string_view, void (*)()> functions[] = {{"lambda_by_reference", lambda_by_reference},
                                                               {"pointer_argument", pointer_argument},
                                                               {"send_pointer", send_pointer},
                                                               {"select_sends", select_sends},
                                                               {"send_structure", send_structure},
                                                               {"send_view", send_view},
                                                               {"reference_wrapper", reference_wrapper},
                                                               {"pass_on", pass_on},
                                                               {"valid", valid},
                                                               {"kinds_of_memory", kinds_of_memory}};
  if (argc > 2) times = std::atoi(argv[2]);
  for (const auto& [name, function] : functions) {
    if (argc < 2 || name != argv[1]) continue;
    stacktide::run(function);
    std::puts("right");
    return 0;
  }
  return 2;
}

// What stack maps must not take for certain: pointers in places that DWARF gives to numbers, and objects that the heap points back at
// where no variable tells. Each of these went wrong once.
#include <emmintrin.h>

#include <coroutine>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <variant>

#include "rt_certain_library.h"
#include "rt_support.h"

namespace {

// Moves the stack.
[[gnu::noinline]] int deep(int levels) {
  volatile char room[300];
  room[0] = 1;
  return levels > 0 ? deep(levels - 1) + room[0] : 0;
}

struct Numbers {
  long values[8];
};
[[gnu::noinline]] void fill(Numbers* numbers) {
  for (long& value : numbers->values) value = 1;
}
[[gnu::noinline]] long sum(const Numbers* numbers) {
  long total = 0;
  for (const long value : numbers->values) total += value;
  return total;
}
[[gnu::noinline]] std::string reason(int n) { return std::to_string(deep(n)); }

// The message is used on a way that does not return: GCC may put it where the numbers lie.
[[gnu::noinline]] long throws(int n) {
  if (n > 3) throw std::runtime_error(std::string("depth ") + reason(n));
  Numbers numbers;
  fill(&numbers);
  return sum(&numbers);
}
void message_on_a_dead_end() {
  bool caught = false;
  try {
    throws(20);
  } catch (const std::runtime_error& error) {
    caught = std::string_view(error.what()) == "depth 20";
  }
  RT_CHECK(caught && throws(1) == 8);
}

struct Message {
  const int* first;
  const int* second;
  long padding[14];
};
[[noreturn, gnu::noinline]] void give_up(const long* numbers) {
  std::printf("%ld\n", numbers[0]);
  std::_Exit(3);
}
[[gnu::noinline]] bool reads(const Message& message, const int* truth) {
  deep(40);
  return message.first == truth && message.second == truth;
}
// The other way round: the numbers are used where the function does not return.
[[gnu::noinline]] bool looks(int n) {
  int local = n;
  long numbers[16];
  if (n < 0) {
    fill(reinterpret_cast<Numbers*>(numbers));
    give_up(numbers);
  }
  return reads(Message{&local, &local, {}}, &local);
}
void numbers_on_a_dead_end() { RT_CHECK(looks(1)); }

[[gnu::noinline]] void put(void* place, const void* pointer) { std::memcpy(place, &pointer, sizeof pointer); }
[[gnu::noinline]] bool holds(const void* place, const void* pointer) { return std::memcmp(place, &pointer, sizeof pointer) == 0; }

template <class T>
[[gnu::noinline]] void through() {
  int local = 0;
  T value{};
  put(&value, &local);
  deep(30);
  RT_CHECK(holds(&value, &local));
}
enum class Address : std::uintptr_t { none };
struct Base {
  void* pointer;
};
struct Middle : virtual Base {
  long number;
};
struct Bits : Middle {
  unsigned long most : 60;
  unsigned long rest : 4;
};
[[gnu::noinline]] void beside_bits() {
  int local = 0;
  Bits bits{};
  put(&bits.pointer, &local);
  deep(30);
  RT_CHECK(holds(&bits.pointer, &local));
}
void integers_that_hold_addresses() {
  through<std::uintptr_t>();
  through<Address>();
  through<__m128i>();
  through<unsigned long[2]>();
  through<unsigned __int128>();
  beside_bits();
  int local = 0;
  auto address = reinterpret_cast<std::uintptr_t>(&local);
  asm volatile("" : : "r"(&address) : "memory");
  deep(30);
  RT_CHECK(address == reinterpret_cast<std::uintptr_t>(&local));
}

using Map = std::map<int, int>;
[[gnu::noinline]] void enter(Map* map) {
  for (int i = 0; i < 10; ++i) (*map)[i] = i;
}
[[gnu::noinline]] int total(const Map* map) {
  int sum = 0;
  for (const auto& [key, value] : *map) {
    sum += value;
    if (sum > 1000) break;
  }
  return sum;
}
template <class T>
struct Slot {
  alignas(T) unsigned char raw[sizeof(T)];
  T* get() { return std::launder(reinterpret_cast<T*>(raw)); }
};
[[gnu::noinline]] void make(void* place) { new (place) Map; }
[[gnu::noinline]] void end(Map* map) { map->~Map(); }

[[gnu::noinline]] int in_bytes() {
  Slot<Map> slot;
  make(slot.raw);
  enter(slot.get());
  deep(30);
  const int found = total(slot.get());
  end(slot.get());
  return found;
}
[[gnu::noinline]] int in_a_variant() {
  std::variant<int, Map> variant;
  variant.emplace<Map>();
  enter(&std::get<Map>(variant));
  deep(30);
  return total(&std::get<Map>(variant));
}
void byte_storage() { RT_CHECK(in_bytes() == 45 && in_a_variant() == 45); }

struct Two {
  Config&& config;
  int number;
};
[[gnu::noinline]] int temporary() { return Two{Config(), deep(30)}.config.sum(); }
void temporaries_of_a_library() { RT_CHECK(temporary() == 45); }

struct Counter {
  struct promise_type {
    Counter get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
// Its frame, in the heap, holds the address of what the caller passed.
Counter count(int& base) {
  for (;;) {
    ++base;
    co_await std::suspend_always{};
  }
}
[[gnu::noinline]] int counted() {
  int base = 5;
  const Counter counter = count(base);
  counter.handle.resume();
  deep(30);
  counter.handle.resume();
  const int result = base;
  counter.handle.destroy();
  return result;
}
void coroutines() { RT_CHECK(counted() == 7); }

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"message_on_a_dead_end", message_on_a_dead_end},
                        {"numbers_on_a_dead_end", numbers_on_a_dead_end},
                        {"integers_that_hold_addresses", integers_that_hold_addresses},
                        {"byte_storage", byte_storage},
                        {"temporaries_of_a_library", temporaries_of_a_library},
                        {"coroutines", coroutines}});
}

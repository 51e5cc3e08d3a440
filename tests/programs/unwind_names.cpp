// Functions of all sorts calling each other, for the symbolizer's tests: templates, operators, lambdas, inlined ones,
// arguments of many types. Prints "ready" and waits for the end of input.
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace app {

enum Plain { small, large = 7 };
enum class Scoped : unsigned char { red, green = 200 };

struct Pair {
  int first;
  long second;
};

volatile int sink = 0;
inline void use(int value) { sink = sink + value; }

[[gnu::noinline]] void wait_for_end() {
  // Straight system calls: LLDB loses its way in some frames of libc's stdio.
  char text[] = "ready\n";
  while (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0) {
  }
  while (read(STDIN_FILENO, text, 1) > 0) {
  }
  use(1);
}

[[gnu::noinline]] int scalars(bool yes, char letter, signed char negative, unsigned char byte, short little,
                              unsigned long big, float third, double half, Plain plain, Scoped scoped, int* null,
                              const char* text) {
  wait_for_end();
  use(yes + letter + negative + byte + little + static_cast<int>(big) + static_cast<int>(third + half) + plain +
      static_cast<int>(scoped) + (null == nullptr) + text[0]);
  return sink;
}

[[gnu::noinline]] int objects(std::string text, const std::string& reference, std::string_view view, std::string long_text,
                              Pair pair, std::vector<int> numbers) {
  int result =
      scalars(true, 'x', -5, 200, -300, 18446744073709551615UL, 0.25F, 1.5, large, Scoped::green, nullptr, "plain \"text\"");
  use(static_cast<int>(text.size() + reference.size() + view.size() + long_text.size() + numbers.size()) + pair.first);
  return result;
}

namespace {
template <class T>
[[gnu::noinline]] T hidden(T value) {
  int result = objects("short", "by reference", "a view", std::string(100, 'z'), {1, 2}, {1, 2, 3});
  use(result);
  return value;
}
}  // namespace

template <class T>
class channel {
 public:
  [[gnu::noinline]] explicit channel(T value) : value_(value) { use(send<double>(1.5)); }
  [[gnu::noinline]] T receive() const {
    T result = hidden<T>(value_);
    use(1);
    return result;
  }
  template <class U>
  [[gnu::noinline]] T send(U) {
    T result = receive();
    use(1);
    return result;
  }
  [[gnu::noinline]] static T operate(T value) {
    channel other(value);
    use(1);
    return other.value_;
  }
  [[gnu::noinline]] T operator()(int extra) {
    T result = operate(value_ + extra);
    use(1);
    return result;
  }
  [[gnu::noinline]] explicit operator bool() {
    bool result = (*this)(3) != 0;
    use(1);
    return result;
  }
  [[gnu::noinline]] bool operator<(const channel&) {
    bool result = static_cast<bool>(*this);
    use(1);
    return result;
  }

 private:
  T value_;
};

template <class F>
[[gnu::noinline]] int call(F function, int value) {
  int result = function(value);
  use(1);
  return result;
}

struct Base {
  virtual ~Base() = default;
  virtual int run(long value) = 0;
};
struct Derived : Base {
  [[gnu::noinline]] int run(long value) override {
    auto* object = static_cast<channel<int>*>(std::malloc(sizeof(channel<int>)));
    auto compare = [object](int) {
      bool result = *object < *object;
      use(1);
      return static_cast<int>(result);
    };
    return call(compare, static_cast<int>(value)) + 1;
  }
};

}  // namespace app

static inline int inlined(app::Base* base, int value) {
  int result = base->run(value + 1);
  app::use(1);
  return result;
}

extern "C" [[gnu::noinline]] int c_function(app::Base* base) {
  int result = inlined(base, 7);
  app::use(1);
  return result;
}

int main(int argc, char**) {
  app::Derived derived;
  std::function<int(app::Base*)> function = [argc](app::Base* base) { return c_function(base) + argc; };
  return function(&derived) == -1 ? 1 : 0;
}

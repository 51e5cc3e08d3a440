// pipeline [N]: numbers flow through three stages over channels; each stage is a goroutine that ends when its input is closed.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <cstdio>
#include <cstdlib>
#include <string>

using stacktide::channel;

namespace {

void generate(int n, channel<int> out) {
  for (int i = 1; i <= n; ++i) out.send(i);
  out.close();
}

void square(channel<int> in, channel<long> out) {
  for (int value : in) out.send(static_cast<long>(value) * value);
  out.close();
}

// Values of any type travel: this stage sends strings.
void describe(channel<long> in, channel<std::string> out) {
  for (long value : in) out.send(std::to_string(value));
  out.close();
}

}  // namespace

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 10;
  stacktide::run([n] {
    auto numbers = channel<int>::make();
    auto squares = channel<long>::make(4);
    auto texts = channel<std::string>::make(4);
    stacktide::go(generate, n, numbers);
    stacktide::go(square, numbers, squares);
    stacktide::go(describe, squares, texts);
    std::size_t characters = 0;
    std::string last;
    for (std::string& text : texts) {
      characters += text.size();
      last = text;
    }
    std::printf("%d squares, %zu characters, the last is %s\n", n, characters, last.c_str());
  });
}

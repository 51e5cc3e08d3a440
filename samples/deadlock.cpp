// deadlock: two goroutines that each wait for the other to speak first. The runtime notices that nobody is left to wake anybody, says so as Go
// does, shows where each one waits, and aborts, so that a core can be looked at:
//
//   stacktide list --core core
#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <cstdio>

using stacktide::channel;

namespace {

void polite(const char* name, channel<int> hear, channel<int> speak) {
  stacktide::set_label(name);
  const auto heard = hear.recv();  // after you
  std::printf("%s heard %d\n", name, heard.value_or(0));
  speak.send(1);
}

}  // namespace

int main() {
  stacktide::run([] {
    auto left = channel<int>::make();
    auto right = channel<int>::make();
    stacktide::go(polite, "left", left, right);
    polite("right", right, left);
  });
}

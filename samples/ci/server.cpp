// A program whose stacks are watched in CI: it answers requests, each in a goroutine of its own.
//
// server REQUESTS [DEPTH]: a request is parsed by recursion as deep as it is nested, DEPTH or 8.
#include <stacktide/runtime.h>
#include <stacktide/sync.h>

#include <cstdio>
#include <cstdlib>
#include <string>

// One "(" after the other, then the ")"s; how deep they were nested.
int parse(const std::string& text, std::size_t at) {
  char copy[64];
  std::snprintf(copy, sizeof copy, "%zu", at);
  if (at >= text.size() || text[at] != '(') return 0;
  return parse(text, at + 1) + (copy[0] != 0 ? 1 : 0);
}

void handle(const std::string& request) {
  if (parse(request, 0) != static_cast<int>(request.size() / 2)) std::abort();
}

int main(int argc, char** argv) {
  const int requests = argc > 1 ? std::atoi(argv[1]) : 100;
  const std::size_t depth = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 8;
  stacktide::run([=] {
    stacktide::wait_group all;
    all.add(requests);
    for (int i = 0; i < requests; ++i) {
      stacktide::go([all, request = std::string(depth, '(') + std::string(depth, ')')] {
        handle(request);
        all.done();
      });
    }
    all.wait();
  });
  std::printf("%d requests\n", requests);
}

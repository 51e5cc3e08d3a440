// attacher PID: opens the process as stacktide does, says "attached", and holds it until its input ends or it is killed.
#include <cstdio>
#include <cstdlib>

#include "stacktide/core/target.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto target = stacktide::open_process(std::strtoull(argv[1], nullptr, 10));
  if (!target) {
    std::printf("%s: %s\n", std::string(stacktide::code_name(target.error().code)).c_str(),
                stacktide::describe(target.error()).c_str());
    return 1;
  }
  std::printf("attached\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

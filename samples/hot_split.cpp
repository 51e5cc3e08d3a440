// hot_split [N] [--sweep]: a loop of N turns (default 1,000,000) whose callee needs more stack than its segment has left.
//
// This is what Go's segmented stacks were given up for: under STACKTIDE_POLICY=segmented each turn links a segment and releases it again, under
// contiguous the first turn copies the stack to a larger one and the others cost nothing. The program runs itself under both policies and prints what each
// counted and took. With --sweep it lets the caller's locals grow from 0 to 1 KiB, 32 bytes at a time: the callee is the same throughout, and
// becomes slow where the caller's frame brings it to the end of the segment. The caller changed, the callee got slow.
//
// With STACKTIDE_POLICY set it does not run itself but does its part under that policy, so that it can be recorded.
#include <stacktide/runtime.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace {

constexpr int kStep = 32;  // bytes
constexpr int kSteps = 1024 / kStep + 1;

struct Result {
  double nanoseconds;  // per call
  stacktide::stack_numbers before;
  stacktide::stack_numbers after;
};

// Needs about 600 bytes.
[[gnu::noinline]] long callee(long n) {
  volatile char room[512];
  room[n & 511] = static_cast<char>(n);
  return room[n & 511];
}

// The loop, in a frame of Bytes more than the others'.
template <int Bytes>
[[gnu::noinline]] Result caller(long turns) {
  volatile char locals[Bytes + 1];
  locals[Bytes] = 1;
  Result result{0, stacktide::stack_info(), {}};
  const auto start = std::chrono::steady_clock::now();
  for (long i = 0; i < turns; ++i) callee(i + locals[Bytes]);
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  result.nanoseconds = time.count() / static_cast<double>(turns);
  result.after = stacktide::stack_info();
  return result;
}

using Caller = Result (*)(long);
template <std::size_t... I>
constexpr std::array<Caller, sizeof...(I)> make_callers(std::index_sequence<I...>) {
  return {&caller<static_cast<int>(I) * kStep>...};
}
constexpr auto kCallers = make_callers(std::make_index_sequence<kSteps>{});

// In a goroutine of its own, so that each begins with a fresh stack.
Result measure(Caller function, long turns) {
  Result result{};
  stacktide::run([=, &result] { result = function(turns); });
  return result;
}

// The first caller whose loop crosses a boundary under this policy, or the first that grows the stack: both end up here.
std::size_t straddling() {
  for (std::size_t i = 0; i < kCallers.size(); ++i) {
    const Result result = measure(kCallers[i], 2);
    if (result.after.links + result.after.grows > result.before.links + result.before.grows) return i;
  }
  std::fprintf(stderr, "hot_split: no caller leaves the callee too little room (STACKTIDE_MINSTACK?)\n");
  std::exit(1);
}

// What the program does under one policy.
int child(const char* policy, long turns, bool sweep) {
  if (sweep) {
    for (std::size_t i = 0; i < kCallers.size(); ++i) {
      const Result result = measure(kCallers[i], turns);
      std::printf("%zu %.2f %lu\n", i * kStep, result.nanoseconds, result.after.links - result.before.links);
    }
    return 0;
  }
  const std::size_t caller = straddling();
  const Result result = measure(kCallers[caller], turns);
  const auto& [ns, before, after] = result;
  const std::uint64_t links = after.links - before.links;
  // Each link but the first reuses the segment that the last one released.
  const std::uint64_t allocated = links - (after.hot_splits - before.hot_splits);
  std::printf("%-10s: %8.2f ns a call, %lu segments linked, %lu allocated, %lu growths; caller's locals: %zu bytes\n", policy, ns, links, allocated,
              after.grows - before.grows, caller * kStep);
  return 0;
}

// Runs this program under the policy; what it prints.
std::string run_under(const char* policy, const std::string& turns, bool sweep) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  setenv("STACKTIDE_POLICY", policy, 1);
  const std::string mode = sweep ? "--sweep" : "--count";
  const char* const argv[] = {"hot_split", "--child", policy, turns.c_str(), mode.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = 0;
  const int problem = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, const_cast<char* const*>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; problem == 0 && (n = read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 1;
  if (problem != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
    std::fprintf(stderr, "hot_split: the run under %s failed\n", policy);
    std::exit(1);
  }
  return text;
}

void print_sweep(const std::string& segmented, const std::string& contiguous) {
  std::printf("%8s %14s %14s %14s\n", "locals", "segmented ns", "contiguous ns", "links");
  const char* left = segmented.c_str();
  const char* right = contiguous.c_str();
  const auto next_line = [](const char* text) { return std::strchr(text, '\n') + 1; };
  for (int i = 0; i < kSteps; ++i, left = next_line(left), right = next_line(right)) {
    int locals = 0;
    double ns[2] = {};
    unsigned long links = 0;
    std::sscanf(left, "%d %lf %lu", &locals, &ns[0], &links);
    std::sscanf(right, "%*d %lf", &ns[1]);
    std::printf("%8d %14.2f %14.2f %14lu\n", locals, ns[0], ns[1], links);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--child") == 0) return child(argv[2], std::atol(argv[3]), std::strcmp(argv[4], "--sweep") == 0);
  bool sweep = false;
  std::string turns = "1000000";
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--sweep") == 0) {
      sweep = true;
    } else {
      turns = argv[i];
    }
  }
  if (std::atol(turns.c_str()) < 1) {
    std::fprintf(stderr, "hot_split: wants turns from 1 on, as in: hot_split 1000000 --sweep\n");
    return 2;
  }
  if (const char* policy = std::getenv("STACKTIDE_POLICY")) return child(policy, std::atol(turns.c_str()), sweep);
  const std::string segmented = run_under("segmented", turns, sweep);
  const std::string contiguous = run_under("contiguous", turns, sweep);
  if (sweep) {
    print_sweep(segmented, contiguous);
    return 0;
  }
  std::printf("%s%s", segmented.c_str(), contiguous.c_str());
  const auto ns = [](const std::string& text) { return std::atof(text.c_str() + text.find(':') + 1); };
  std::printf("ratio     : %8.1f\n", ns(segmented) / ns(contiguous));
  return 0;
}

// Many parked goroutines, and what they cost: rt_million [N] (default 1,000,000).
//
// N goroutines wait on one channel. While they do, the process may have 3 GB for a million of them, in proportion for fewer; when they are gone, all but
// their records goes back to the system, when asked for or by itself, and the next N take no more than the first.
#include <chrono>
#include <fstream>
#include <string>

#include "rt_support.h"

namespace {

constexpr double kBytesEach = 3000;          // 3 GB for a million
constexpr double kRest = 64 * 1024 * 1024;   // what is there without goroutines or is kept for the next ones
constexpr double kRecordEach = 700;          // records are never freed, and malloc keeps some of what held closures

// Bytes of a field of /proc/self/status ("VmRSS").
double status_bytes(const std::string& field) {
  return stacktide::on_system_stack([&] {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1)) * 1024;
    }
    rt::fail(__FILE__, __LINE__, "no such field in /proc/self/status");
  });
}

double nanoseconds_each(std::chrono::steady_clock::time_point since, int n) {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - since).count() / n;
}

void wait_in(stacktide::channel<int> gate, stacktide::wait_group arrived, stacktide::wait_group left) {
  arrived.done();
  RT_CHECK(!gate.recv());
  left.done();
}

// Returns the bytes that the process had while all waited.
double round(int n) {
  auto gate = stacktide::channel<int>::make();
  stacktide::wait_group arrived;
  stacktide::wait_group left;
  arrived.add(n);
  left.add(n);
  auto since = std::chrono::steady_clock::now();
  for (int i = 0; i < n; ++i) stacktide::go(wait_in, gate, arrived, left);
  arrived.wait();
  const double begun = nanoseconds_each(since, n);
  const double bytes = status_bytes("VmRSS");
  since = std::chrono::steady_clock::now();
  gate.close();
  left.wait();
  std::printf("%d goroutines: %.0f bytes and %.0f ns each, %.0f ns to end\n", n, bytes / n, begun, nanoseconds_each(since, n));
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 1'000'000;
  if (n < 1000) return 2;
  stacktide::run([n] {
    const double before = status_bytes("VmRSS");
    const double first = round(n);
    RT_CHECK(first < kBytesEach * n + kRest);
    RT_CHECK(first > 2048.0 * n);
    stacktide::shrink_stacks();
    const double after = status_bytes("VmRSS");
    std::printf("%.0f MB before, %.0f with them, %.0f when they are gone\n", before / 1e6, first / 1e6, after / 1e6);
    RT_CHECK(after < kRecordEach * n + kRest);
    const double second = round(n);
    RT_CHECK(second < first * 1.05 + kRest);
    // Nobody asks now: the monitor does it by itself, after a second or two.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (status_bytes("VmRSS") >= kRecordEach * n + kRest) {
      RT_CHECK(std::chrono::steady_clock::now() < limit);
      stacktide::sleep_for(std::chrono::milliseconds(20));
    }
  });
}

// The address space in rows: what mappings mean, in memory laid out by hand.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <unistd.h>

#include "analyze/address_space.h"
#include "support/fake_snapshot.h"
#include "target/proc_fs.h"
#include "view/address_space.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr const char* kMaps =
    "100000000-101000000 rw-p 00000000 00:00 0 \n"
    "101000000-200000000 ---p 00000000 00:00 0 \n"
    "555500000000-555500001000 r--p 00000000 08:01 7                          /usr/bin/park\n"
    "555500001000-555500003000 r-xp 00001000 08:01 7                          /usr/bin/park\n"
    "555500003000-555500004000 rw-p 00003000 08:01 7                          /usr/bin/park\n"
    "555500004000-555500006000 rw-p 00000000 00:00 0 \n"
    "555500100000-555500121000 rw-p 00000000 00:00 0                          [heap]\n"
    "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n"
    "7f0000021000-7f0004000000 ---p 00000000 00:00 0 \n"
    "7f0010000000-7f0010005000 ---p 00000000 00:00 0 \n"
    "7f0010005000-7f0010025000 rw-p 00000000 00:00 0 \n"
    "7f0020000000-7f0020001000 rw-p 00000000 00:00 0 \n"
    "7f0030000000-7f0030002000 r-xp 00000000 08:01 8                          /usr/lib/libc.so.6\n"
    "7f0030002000-7f0030003000 rw-p 00002000 08:01 8                          /usr/lib/libc.so.6\n"
    "7f0040000000-7f0040001000 rw-s 00000000 00:00 9                          /dev/zero (deleted)\n"
    "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]\n"
    "nonsense\n"
    "7ffd00100000-7ffd00000000 r-xp 00000000 00:00 0                          [vdso]\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

Snapshot running() {
  auto snapshot = snapshot_of({parked(1), parked(2)});
  snapshot.goroutines[0].address = 0x7f0020000100;
  snapshot.goroutines[1].address = 0x7f0020000200;
  snapshot.goroutines[1].stack.segments.front().hi += 2048;
  snapshot.scheduler.values["arena_lo"] = 0x100000000;
  snapshot.scheduler.values["arena_hi"] = 0x101000000;
  Machine m;
  m.id = 3;
  m.tid = 77;
  m.stack_lo = 0x7f0010005000;
  m.stack_hi = 0x7f0010015000;
  m.guard_size = 4096;
  snapshot.ms = {m};
  OsThread main;
  main.tid = 76;
  main.name = "park";
  main.sp = 0x7ffd00020000;
  OsThread worker;
  worker.tid = 77;
  worker.sp = 0x7f0010014000;
  OsThread switched;  // stands on a goroutine's stack
  switched.tid = 78;
  switched.sp = 0x100000800;
  snapshot.threads = {main, worker, switched};
  return snapshot;
}

}  // namespace

TEST_CASE("mappings are rows by what they are to the program") {
  auto snapshot = running();
  const auto regions = parse_regions(kMaps);
  REQUIRE(regions.size() == 17);
  find_thread_stacks(snapshot, regions);
  std::vector<Module> modules(2);
  modules[0].path = "/usr/bin/park";
  modules[0].start = 0x555500000000;
  modules[0].end = 0x555500006000;
  modules[1].path = "/lib/libc.so.6";
  modules[1].start = 0x7f0030000000;
  modules[1].end = 0x7f0030003000;
  const std::vector<NamedAddress> roots = {
      {0x7f0010016000, "event_rings"}, {0x7f0010016100, "ms"}, {0x555500004000, "scheduler"}};
  CHECK(address_space_text(snapshot, address_space(snapshot, regions, modules, roots), {}) ==
        "process 4242 (/home/someone/park): 17 mappings, low addresses first\n"
        "start                     size                        what\n"
        "0x100000000             16 MiB  #############         arena         stacks of goroutines: 16 MiB accessible\n"
        "0x101000000            4.0 GiB  ####################  reserved      for more stacks\n"
        "...                   85.3 TiB\n"
        "0x555500000000           4 KiB  #                     data          park\n"
        "0x555500001000           8 KiB  ##                    text          park\n"
        "0x555500003000          12 KiB  ##                    data          park\n"
        "0x555500100000         132 KiB  ######                heap\n"
        "...                   41.7 TiB\n"
        "0x7f0000000000          64 MiB  ###############       heap          of threads, by its place\n"
        "0x7f0010000000          16 KiB  ###                   reserved\n"
        "0x7f0010004000           4 KiB  #                     guard         M 3, thread 77\n"
        "0x7f0010005000          64 KiB  #####                 thread stack  M 3, thread 77: 4 KiB used\n"
        "0x7f0010015000          64 KiB  #####                 runtime       event rings, ms\n"
        "0x7f0020000000           4 KiB  #                     records       of goroutines\n"
        "0x7f0030000000          12 KiB  ##                    library       libc.so.6\n"
        "0x7f0040000000           4 KiB  #                     file          zero\n"
        "...                 1011.0 GiB\n"
        "0x7ffd00000000         132 KiB  ######                thread stack  thread 76 (park): 4 KiB used\n"
        "...\n"
        "0xffffffffff600000       4 KiB  #                     kernel        [vsyscall]\n"
        "a bar is one # for 4 KiB and one more for each doubling\n"
        "goroutine stacks: 2 KiB x 1, 4 KiB x 1\n");
}

TEST_CASE("threads' stacks: an M's as the runtime says, others by their sp and the inaccessible memory below") {
  auto snapshot = running();
  find_thread_stacks(snapshot, parse_regions(kMaps));
  const auto& main = snapshot.threads[0];
  CHECK(!main.m);
  CHECK(main.stack_lo == 0x7ffd00000000);
  CHECK(main.guard_size == 0);
  CHECK(main.used() == 0x1000);
  const auto& worker = snapshot.threads[1];
  CHECK(worker.m == 3);
  CHECK(worker.stack_hi == 0x7f0010015000);
  CHECK(worker.guard_size == 4096);
  CHECK(worker.used() == 0x1000);
  CHECK(snapshot.threads[2].stack_hi == 0);
  CHECK(!snapshot.threads[2].used());

  // Not an M's: the mapping that holds its sp, and all below it that nobody may touch.
  snapshot.ms.clear();
  for (auto& thread : snapshot.threads) thread.m.reset(), thread.stack_lo = thread.stack_hi = thread.guard_size = 0;
  find_thread_stacks(snapshot, parse_regions(kMaps));
  CHECK(snapshot.threads[1].stack_lo == 0x7f0010005000);
  CHECK(snapshot.threads[1].stack_hi == 0x7f0010025000);
  CHECK(snapshot.threads[1].guard_size == 0x5000);
  CHECK(snapshot.threads[2].stack_hi == 0);
}

TEST_CASE("a process without a runtime's numbers, or without mappings") {
  Snapshot snapshot;
  snapshot.target = "process 1 (/x)";
  CHECK(address_space_text(snapshot, address_space(snapshot, {}, {}, {}), {}).starts_with("process 1 (/x): 0 mappings"));
  find_thread_stacks(snapshot, {});
  CHECK(snapshot.threads.empty());
}

TEST_CASE("the CPU of a thread is the kernel's word") {
  const auto self = static_cast<std::uint64_t>(::getpid());
  CHECK(last_cpu(self, self).has_value());
  CHECK(!last_cpu(self, 1).has_value());
  CHECK(!last_cpu(0, 0).has_value());
}

// Frames at the exact byte where the stack ends: small ones (below 256 bytes), big ones, and huge ones (from 4,096 on).
//
// A call must grow the stack, or link a segment, when what its check compares lies below the guard, and must not when it lies on it; either way its
// whole frame is its own and the canary lives. Huge frames size the new stack by themselves, in one step. The same program runs contiguous, segmented, and
// moving at every check, where the runtime alone decides whether a frame fits.
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "hot_splits.h"
#include "rt_frames_exact.h"

namespace {

using stacktide::stack_info;
using stacktide::stack_numbers;

bool segmented() {
  const char* policy = std::getenv("STACKTIDE_POLICY");
  return policy != nullptr && std::string_view(policy) == "segmented";
}

// Turns of the frame functions' bodies, and the address of the last one's return address.
volatile std::uint64_t body_runs = 0;
volatile std::uint64_t body_sp = 0;

// frame_N: what GCC makes of a function with N bytes of frame, to the byte. Its body fills them.
#define SMALL_CHECK(N) "cmpq %fs:112, %rsp\n"
#define BIG_CHECK(N) "leaq -" #N "(%rsp), %r11\n cmpq %fs:112, %r11\n"
#define FRAME(N, CHECK)                                                                                                             \
  extern "C" void frame_##N();                                                                                                      \
  asm(".text\n .globl frame_" #N "\n .hidden frame_" #N "\n .type frame_" #N ", @function\n frame_" #N ":\n .cfi_startproc\n" CHECK(N) \
      "jb 1f\n"                                                                                                                     \
      "0: movq %rsp, _ZN12_GLOBAL__N_17body_spE(%rip)\n incq _ZN12_GLOBAL__N_19body_runsE(%rip)\n"                                  \
      "leaq -" #N "(%rsp), %rdi\n movl $" #N ", %ecx\n movl $0x5a, %eax\n cld\n rep stosb\n ret\n"                                   \
      "1: movl $" #N ", %r10d\n xorl %r11d, %r11d\n call __morestack\n ret\n jmp 0b\n .cfi_endproc\n .size frame_" #N ", . - frame_" #N "\n")

FRAME(8, SMALL_CHECK);
FRAME(248, SMALL_CHECK);
FRAME(254, SMALL_CHECK);
FRAME(255, SMALL_CHECK);
FRAME(256, BIG_CHECK);
FRAME(257, BIG_CHECK);
FRAME(264, BIG_CHECK);
FRAME(2600, BIG_CHECK);  // on a fresh stack, what is in use and this are just less than 4 KiB: the guard decides
FRAME(4088, BIG_CHECK);
FRAME(4095, BIG_CHECK);
FRAME(4096, BIG_CHECK);
FRAME(4097, BIG_CHECK);
FRAME(5000, BIG_CHECK);
FRAME(200000, BIG_CHECK);

// A frame that calls a small function from its bottom: the segment it got must hold that too, and nearly does not without the guard.
extern "C" void frame_7864_and_call();
asm(".text\n .globl frame_7864_and_call\n .hidden frame_7864_and_call\n .type frame_7864_and_call, @function\n"
    "frame_7864_and_call:\n .cfi_startproc\n" BIG_CHECK(7864)
    "jb 1f\n"
    "0: subq $7864, %rsp\n .cfi_adjust_cfa_offset 7864\n call frame_8\n addq $7864, %rsp\n .cfi_adjust_cfa_offset -7864\n ret\n"
    "1: movl $7864, %r10d\n xorl %r11d, %r11d\n call __morestack\n ret\n jmp 0b\n .cfi_endproc\n"
    ".size frame_7864_and_call, . - frame_7864_and_call\n");

struct Frame {
  void (*function)();
  std::uint64_t bytes;
};
constexpr Frame kFrames[] = {{frame_8, 8},       {frame_248, 248},   {frame_254, 254},   {frame_255, 255},   {frame_256, 256},
                             {frame_257, 257},   {frame_264, 264},   {frame_2600, 2600}, {frame_4088, 4088}, {frame_4095, 4095}, {frame_4096, 4096},
                             {frame_4097, 4097}, {frame_5000, 5000}, {frame_200000, 200000}};

// Calls it with its check's last byte `spare` bytes above the guard (below it when negative). The stack must hold the frame.
[[gnu::noinline]] void call_with(const Frame& frame, std::int64_t spare, stack_numbers& before, stack_numbers& after) {
  const std::uint64_t reach = frame.bytes < rt::kStackSmall ? 0 : frame.bytes;
  before = stack_info();
  const std::uint64_t entry = (before.lo + rt::kStackGuard + reach + static_cast<std::uint64_t>(spare)) & ~std::uint64_t{7};
  rt::call_at(entry, reinterpret_cast<const void*>(frame.function));
  after = stack_info();
}

// Makes the stack at least this large.
[[gnu::noinline]] void touch(std::uint64_t bytes) {
  volatile char room[2000];
  room[0] = 1;
  if (bytes > sizeof room) touch(bytes - sizeof room);
  room[1] = room[0];
}

// Sees to it that the current segment holds a frame of this size and what stands before it. False: under segmented stacks the first one does not
// (with STACKTIDE_MINSTACK it does).
bool make_room(std::uint64_t bytes) {
  constexpr std::uint64_t kBefore = 500;
  if (segmented()) return stack_info().size >= rt::kStackGuard + bytes + kBefore;
  touch(bytes + rt::kStackGuard + kBefore);
  return true;
}

void in_new_goroutine(void (*test)(std::size_t, std::int64_t), std::size_t index, std::int64_t spare) {
  stacktide::wait_group finished;
  finished.add(1);
  stacktide::go([=]() mutable {
    test(index, spare);
    finished.done();
  });
  finished.wait();
}

void at_the_boundary(std::size_t index, std::int64_t spare) {
  const Frame& frame = kFrames[index];
  if (!make_room(frame.bytes)) return;
  stack_numbers before{};
  stack_numbers after{};
  const std::uint64_t runs = body_runs;
  call_with(frame, spare, before, after);
  RT_CHECK(body_runs == runs + 1);
  // Addresses are multiples of 8: with an odd frame the last byte of an entry 8 bytes lower is below the guard.
  const std::uint64_t reach = frame.bytes < rt::kStackSmall ? 0 : frame.bytes;
  const std::uint64_t entry = (before.lo + rt::kStackGuard + reach + static_cast<std::uint64_t>(spare)) & ~std::uint64_t{7};
  const bool fits = entry - reach >= before.lo + rt::kStackGuard;
  if (segmented()) {
    RT_CHECK(after.links == before.links + (fits ? 0 : 1));
    RT_CHECK(after.grows == before.grows);
    RT_CHECK(fits == (body_sp == entry));
  } else {
    RT_CHECK(after.grows == before.grows + (fits ? 0 : 1));
    RT_CHECK(after.links == before.links);
    RT_CHECK(fits == (after.size == before.size));
  }
  // Looks at the canary.
  stacktide::yield();
}

void boundaries() {
  for (std::size_t i = 0; i < std::size(kFrames); ++i) {
    for (std::int64_t spare = -24; spare <= 24; ++spare) in_new_goroutine(at_the_boundary, i, spare);
  }
}

// One step, to the smallest power of two that holds what is in use, the frame, and what must be left below it.
void from_a_fresh_stack(std::size_t index, std::int64_t) {
  const Frame& frame = kFrames[index];
  const stack_numbers before = stack_info();
  const std::uint64_t entry = (before.lo + rt::kStackGuard + 64) & ~std::uint64_t{7};
  const std::uint64_t runs = body_runs;
  rt::call_at(entry, reinterpret_cast<const void*>(frame.function));
  const stack_numbers after = stack_info();
  RT_CHECK(body_runs == runs + 1);
  if (segmented()) {
    RT_CHECK(after.links == before.links + 1 && after.segments == 1);
    stacktide::yield();
    return;
  }
  const std::uint64_t used = before.hi - entry;
  std::uint64_t expected = before.size * 2;
  while (expected < used + frame.bytes + rt::kStackGuard) expected *= 2;
  RT_CHECK(after.grows == before.grows + 1);
  RT_CHECK(after.size == expected);
  RT_CHECK(after.hi % 65536 == before.hi % 65536);
  stacktide::yield();
}

// What is linked or copied for a frame holds it above the guard, and a little more.
void enough_for_a_call(std::size_t, std::int64_t) {
  const stack_numbers before = stack_info();
  const std::uint64_t runs = body_runs;
  rt::call_at((before.lo + rt::kStackGuard + 64) & ~std::uint64_t{7}, reinterpret_cast<const void*>(&frame_7864_and_call));
  const stack_numbers after = stack_info();
  RT_CHECK(body_runs == runs + 1);
  RT_CHECK(after.grows + after.links == before.grows + before.links + 1);
  stacktide::yield();
}

void steps() {
  for (std::size_t i = 0; i < std::size(kFrames); ++i) {
    if (kFrames[i].bytes >= rt::kStackSmall) in_new_goroutine(from_a_fresh_stack, i, 0);
  }
  in_new_goroutine(enough_for_a_call, 0, 0);
}

// Frames as GCC makes them: which check it chooses, where small ones end, and that each is right at the last byte.
template <int Bytes>
[[gnu::noinline]] void compiled() {
  volatile char room[Bytes];
  for (int i = 0; i < Bytes; i += 7) room[i] = 0x5a;
  room[Bytes - 1] = room[0];
  body_runs = body_runs + 1;
  body_sp = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
}

template <int First, std::size_t... I>
constexpr std::array<void (*)(), sizeof...(I)> compiled_from(std::index_sequence<I...>) {
  return {&compiled<First + static_cast<int>(I) * 8>...};
}
constexpr auto kAroundSmall = compiled_from<64>(std::make_index_sequence<50>{});     // 64 to 456 bytes of room
constexpr auto kAroundBig = compiled_from<3840>(std::make_index_sequence<50>{});     // 3,840 to 4,232

void at_compiled_boundary(std::size_t index, std::int64_t spare) {
  const bool around_small = index < kAroundSmall.size();
  void (*const function)() = around_small ? kAroundSmall[index] : kAroundBig[index - kAroundSmall.size()];
  const rt::Check check = rt::check_of(reinterpret_cast<const void*>(function));
  RT_CHECK(check.small == (check.frame < rt::kStackSmall));
  RT_CHECK(check.compared == (check.small ? 0 : check.frame));
  if (!make_room(check.frame)) return;
  const stack_numbers before = stack_info();
  const std::uint64_t entry = (before.lo + rt::kStackGuard + check.compared + 7) / 8 * 8 + static_cast<std::uint64_t>(spare);
  const std::uint64_t runs = body_runs;
  rt::call_at(entry, reinterpret_cast<const void*>(function));
  const stack_numbers after = stack_info();
  RT_CHECK(body_runs == runs + 1);
  RT_CHECK(after.grows + after.links == before.grows + before.links + (spare < 0 ? 1 : 0));
  stacktide::yield();
}

void compiled_boundaries() {
  bool last_small = false;
  bool first_big = false;
  for (std::size_t i = 0; i < kAroundSmall.size() + kAroundBig.size(); ++i) {
    for (const std::int64_t spare : {-16, -8, 0, 8}) in_new_goroutine(at_compiled_boundary, i, spare);
    if (i >= kAroundSmall.size()) continue;
    const rt::Check check = rt::check_of(reinterpret_cast<const void*>(kAroundSmall[i]));
    last_small |= check.small && check.frame >= rt::kStackSmall - 16;
    first_big |= !check.small && check.frame < rt::kStackSmall + 16;
  }
  RT_CHECK(last_small && first_big);
}

// Large arguments on the stack go with the call, whether it is moved or linked.
template <int Words>
struct Large {
  std::uint64_t words[Words];
};

template <int Words>
[[gnu::noinline]] void takes(Large<Words> argument) {
  volatile char room[100];
  room[0] = 1;
  std::uint64_t sum = 0;
  for (const std::uint64_t word : argument.words) sum += word;
  // The callee's own copy: it may write to it.
  for (std::uint64_t& word : argument.words) word = 0;
  RT_CHECK(sum == std::uint64_t{Words} * (Words + 1) / 2 && room[0] == 1);
  body_runs = body_runs + 1;
}

template <int Words>
void with_arguments(std::size_t, std::int64_t spare) {
  static const Large<Words> kSource = [] {
    Large<Words> large{};
    for (int i = 0; i < Words; ++i) large.words[i] = static_cast<std::uint64_t>(i) + 1;
    return large;
  }();
  const auto* function = reinterpret_cast<const void*>(&takes<Words>);
  const rt::Check check = rt::check_of(function);
  if (!make_room(sizeof kSource + check.frame)) {
    // As the compiler makes the call, which links a segment for the caller.
    takes<Words>(kSource);
    stacktide::yield();
    return;
  }
  const stack_numbers before = stack_info();
  const std::uint64_t entry = (before.lo + rt::kStackGuard + check.compared + 7) / 8 * 8 + static_cast<std::uint64_t>(spare);
  const std::uint64_t runs = body_runs;
  rt::call_at(entry, function, &kSource, sizeof kSource);
  const stack_numbers after = stack_info();
  RT_CHECK(body_runs == runs + 1);
  RT_CHECK(after.grows + after.links == before.grows + before.links + (spare < 0 ? 1 : 0));
  stacktide::yield();
}

void arguments() {
  for (const std::int64_t spare : {-8, 0}) {
    in_new_goroutine(with_arguments<3>, 0, spare);
    in_new_goroutine(with_arguments<20>, 0, spare);
    in_new_goroutine(with_arguments<1000>, 0, spare);
    in_new_goroutine(with_arguments<20000>, 0, spare);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const rt::Test tests[] = {{"boundaries", boundaries}, {"steps", steps}, {"compiled", compiled_boundaries}, {"arguments", arguments}};
  for (const rt::Test& test : tests) {
    if (argc > 1 && std::string_view(argv[1]) != test.name) continue;
    stacktide::run([run = test.run] { run(); });
    std::printf("%s: right\n", test.name);
  }
}

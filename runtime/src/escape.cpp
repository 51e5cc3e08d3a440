#include "escape.h"

#include <signal.h>
#include <unwind.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string_view>

#include "frame_names.h"
#include "report.h"
#include "scheduler.h"
#include "stack.h"
#include "stack_growth.h"
#include "stacktide/detail/escape.h"
#include "traceback.h"

namespace stacktide::runtime {
namespace {

constinit bool strict = false;

// A place that gives things away, by its return address.
struct Site {
  std::atomic<std::uint64_t> pc;
  std::atomic<std::uint32_t> looks;
};
// Walking frames takes microseconds, so a place that was found harmless so often is not looked at again; one that was
// reported neither.
constexpr std::uint32_t kLooks = 16;
// Open addressing. When it is full, further places are not looked at.
constexpr std::size_t kSites = 1024;
constinit Site sites[kSites]{};

Site* site_of(std::uint64_t pc) {
  const std::size_t start = (pc * 0x9e3779b97f4a7c15U) >> 54;
  static_assert(kSites == 1U << (64 - 54));
  for (std::size_t i = 0; i < kSites; ++i) {
    Site& site = sites[(start + i) % kSites];
    std::uint64_t there = site.pc.load(std::memory_order_relaxed);
    if (there == 0 && site.pc.compare_exchange_strong(there, pc, std::memory_order_relaxed)) return &site;
    if (there == pc) return &site;
  }
  return nullptr;
}

struct Extents {
  std::uint64_t sp;
  std::uint64_t hi;
  bool contains(std::uint64_t address) const { return address - sp < hi - sp; }
};

// What a suspicious word points at.
struct Target {
  std::uint64_t address;
  std::uint64_t goroutine = 0;  // its owner, 0: nobody uses that part of a stack
  Extents segment{};
  std::uint64_t frame_pc = 0;  // where the frame's function is, if it is the caller's own goroutine
};

// The segment of g in whose used part the address lies; empty if none.
Extents segment_of(const Goroutine& g, std::uint64_t address) {
  const Extents current{g.sp, g.stack_hi};
  if (current.contains(address)) return current;
  for (const Segment* s = g.segments; s != nullptr; s = s->previous) {
    const Extents older{s->sp, s->hi};
    if (older.contains(address)) return older;
  }
  return {};
}

// The same for any other goroutine, whose record may change meanwhile; its older segments are not looked at, since they may
// be freed.
void find_owner(Target& target, const Goroutine* self) {
  for_each_goroutine([&](Goroutine& g) {
    if (&g == self || target.goroutine != 0) return;
    const std::uint32_t before = g.sequence.load(std::memory_order_acquire);
    const Extents used{g.sp, g.stack_hi};
    const std::uint64_t id = g.id;
    std::atomic_thread_fence(std::memory_order_acquire);
    // Pairs with the stores in Changing (goroutine.h).
    if (before % 2 != 0 || g.sequence.load(std::memory_order_relaxed) != before || id == 0 || !used.contains(target.address))
      return;
    target.goroutine = id;
    target.segment = used;
  });
}

struct Walk {
  Target& target;
  bool pinned = false;
};

// The frames of a segment, youngest first. Each begins where the unwinder's CFA for it is: the stack pointer in it.
_Unwind_Reason_Code look_at_frame(_Unwind_Context* context, void* data) {
  auto& walk = *static_cast<Walk*>(data);
  const std::uint64_t pc = _Unwind_GetIP(context);
  if (pc == 0) return _URC_END_OF_STACK;
  const std::uint64_t bottom = _Unwind_GetCFA(context);
  if (!walk.target.segment.contains(bottom)) return _URC_NO_REASON;
  if (bottom <= walk.target.address) {
    // The one that holds the address is the last to come here.
    walk.target.frame_pc = pc - 1;
    walk.pinned = is_pinned_frame(pc);
  } else {
    walk.pinned = walk.pinned || is_pinned_frame(pc);
  }
  return _URC_NO_REASON;
}

// Would a move leave the address behind?
bool judge(Target& target, const Goroutine* self) {
  const bool contiguous = scheduler.policy == policy_contiguous;
  if (self != nullptr) {
    target.segment = segment_of(*self, target.address);
    if (target.segment.hi != 0) {
      target.goroutine = self->id;
      Walk walk{target};
      _Unwind_Backtrace(look_at_frame, &walk);
      return contiguous || !walk.pinned;
    }
  }
  // Nobody can walk another goroutine's frames here, which may run. All of them are MOVABLE if all goroutine code is.
  const bool all_move = contiguous || !has_pinned_code();
  if (!all_move) return false;
  find_owner(target, self);
  return target.goroutine != 0;
}

// The name in "... [with T = NAME]".
std::string_view type_name(std::string_view text) {
  constexpr std::string_view kBefore = "[with T = ";
  const std::size_t at = text.find(kBefore);
  return at == text.npos ? text : text.substr(at + kBefore.size(), text.size() - at - kBefore.size() - 1);
}

void report(const char* what, const detail::escape_part& part, const Target& target, std::uint64_t site) {
  static std::mutex lock;
  std::unique_lock guard(lock);
  if (strict) begin_report(SIGABRT);
  open_symbols();
  const std::string_view type = type_name(part.type);
  say("%s: %s holds the address of a local in goroutine %lu, whose stack may move\n", strict ? "fatal error" : "warning",
      what, target.goroutine);
  const bool own_frame = target.frame_pc == site - 1;
  const char* whose = own_frame ? ", in the frame that gives it away:" : target.frame_pc != 0 ? ", in the frame of:" : "";
  say("\t%.*s, %lu bytes in: %#lx%s\n", static_cast<int>(std::min<std::size_t>(type.size(), 400)), type.data(), part.offset,
      target.address, whose);
  if (target.frame_pc != 0) say_functions_at(target.frame_pc, false);
  if (!strict) {
    if (own_frame) return;
    say("given away by:\n");
    say_functions_at(site - 1, false);
    return;
  }
  guard.unlock();
  if (traceback_level() != TracebackLevel::none) trace_current();
  end_report();
}

}  // namespace

void prepare_escape_check(bool strict_now) { strict = strict_now; }

extern "C" void stacktide_check_escape_impl(const void* object, const detail::escape_subject* subject) {
  if (scheduler.policy == policy_segmented) return;
  const std::uint64_t pc = caller_pc(__builtin_return_address(0));
  Site* site = site_of(pc);
  if (site == nullptr || site->looks.load(std::memory_order_relaxed) >= kLooks) return;
  const Goroutine* self = current_goroutine();
  const auto* words = static_cast<const std::uint64_t*>(object);
  const std::size_t n = subject->bytes / sizeof(*words);
  for (std::size_t i = 0; i < n; ++i) {
    if (words[i] - stacktide_arena_lo >= stacktide_arena_size) continue;
    const detail::escape_part part = subject->part(object, i * sizeof(*words));
    if (!part.holds_addresses) continue;
    Target target{words[i]};
    if (!judge(target, self)) continue;
    if (site->looks.exchange(kLooks, std::memory_order_relaxed) < kLooks) {
      report(subject->what, part, target, pc);
    }
    return;
  }
  site->looks.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace stacktide::runtime

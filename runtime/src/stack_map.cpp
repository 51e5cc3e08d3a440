#include "stack_map.h"

#include <mutex>

#include "fatal.h"

extern "C" {
// Made by stacktide-link.
extern const stacktide_maps_header stacktide_maps __attribute__((weak, visibility("hidden")));
extern const char stacktide_maps_end[] __attribute__((weak, visibility("hidden")));
extern const char stacktide_resume_pc[];
extern const char stacktide_start_pc[];
extern const char stacktide_start_return[];
extern const char stacktide_segment_return[];
extern const char stacktide_preempted_pc[];
extern const char stacktide_saved_pc[];
}

namespace stacktide::runtime {

constinit StackMaps stack_maps{};

namespace {

constexpr std::size_t kMaxRegions = 4;

struct Region {
  std::uint64_t lo = 0;
  std::uint64_t size = 0;
  const stacktide_map_site* first = nullptr;
  std::uint32_t count = 0;
};

// The maps as found, filled once.
struct Loaded {
  Region regions[kMaxRegions];
  std::size_t count = 0;
  const char* shapes = nullptr;
  std::uint32_t pinned = 0;
};
constinit Loaded loaded{};
constinit std::atomic<bool> is_loaded{false};

void load() {
  static constinit std::mutex lock;
  std::lock_guard guard(lock);
  if (is_loaded.load(std::memory_order_relaxed)) return;
  const stacktide_maps_header& header = stacktide_maps;
  if (header.magic != STACKTIDE_MAPS_MAGIC || header.version != STACKTIDE_MAPS_VERSION)
    fatal("the program's stack maps are of another version than its runtime: link it again");
  const char* base = reinterpret_cast<const char*>(&header);
  const auto* regions = reinterpret_cast<const stacktide_map_region*>(base + header.region_offset);
  const auto* sites = reinterpret_cast<const stacktide_map_site*>(base + header.site_offset);
  loaded.count = header.region_count < kMaxRegions ? header.region_count : kMaxRegions;
  for (std::size_t i = 0; i < loaded.count; ++i) {
    const auto lo = reinterpret_cast<std::uint64_t>(&regions[i].code) + static_cast<std::uint64_t>(regions[i].code);
    loaded.regions[i] = {lo, regions[i].size, sites + regions[i].first_site, regions[i].site_count};
  }
  loaded.shapes = base + header.shape_offset;
  loaded.pinned = header.pinned;
  is_loaded.store(true, std::memory_order_release);
}

// Inlined by order: a walk asks for each frame.
[[gnu::always_inline]] inline const Loaded& maps() {
  if (!is_loaded.load(std::memory_order_acquire)) [[unlikely]]
    load();
  return loaded;
}

// Return address -> shape word, or that there is none. One atomic word each: the low 32 bits of the address, and the word.
constexpr unsigned kCacheBits = 10;
constinit std::atomic<std::uint64_t> cache[1U << kCacheBits]{};

// What no site's word is: no register is both a scalar and a pointer.
constexpr std::uint32_t kNoSite = 0xffffffff;

std::uint32_t search(std::uint64_t pc) {
  const Loaded& all = maps();
  for (std::size_t i = 0; i < all.count; ++i) {
    const Region& region = all.regions[i];
    const std::uint64_t offset = pc - region.lo;
    if (offset > region.size) continue;
    const stacktide_map_site* at = region.first;
    std::uint32_t count = region.count;
    while (count > 1) {
      const std::uint32_t half = count / 2;
      if (at[half].pc <= offset) at += half;
      count -= half;
    }
    if (count == 1 && at->pc == offset) return at->shape;
  }
  return kNoSite;
}

[[gnu::always_inline]] inline bool is_code(const Loaded& all, std::uint64_t pc) {
  for (std::size_t i = 0; i < all.count; ++i) {
    if (pc - all.regions[i].lo <= all.regions[i].size) return true;
  }
  return false;
}

}  // namespace

void find_stack_maps(std::uint8_t adjust) {
  stack_maps.adjust = adjust;
  stack_maps.address = reinterpret_cast<std::uint64_t>(&stacktide_maps);
  stack_maps.size = reinterpret_cast<std::uint64_t>(stacktide_maps_end) - stack_maps.address;
}

bool has_stack_maps() { return stack_maps.address != 0 && maps().count != 0; }

bool has_pinned_records() { return has_stack_maps() && maps().pinned != 0; }

SiteRecord site_record(std::uint64_t pc) {
  if (stack_maps.address == 0) return {};
  const Loaded& all = maps();
  std::atomic<std::uint64_t>& entry = cache[(pc * 0x9e3779b97f4a7c15U) >> (64 - kCacheBits)];
  const std::uint64_t known = entry.load(std::memory_order_relaxed);
  std::uint32_t word = static_cast<std::uint32_t>(known);
  // An address of other code may have the same low half, and entry 0 is none.
  if (known >> 32 != (pc & 0xffffffff) || known == 0 || !is_code(all, pc)) [[unlikely]] {
    if (!is_code(all, pc)) return {};
    word = search(pc);
    entry.store(pc << 32 | word, std::memory_order_relaxed);
  }
  if (word == kNoSite) return {};
  if (STACKTIDE_SITE_SHAPE(word) == STACKTIDE_NO_SHAPE) return {nullptr, 0, 1};
  return {reinterpret_cast<const stacktide_map_shape*>(all.shapes + std::uint64_t{4} * STACKTIDE_SITE_SHAPE(word)),
          STACKTIDE_SITE_SCALARS(word), 1};
}

bool is_walk_bottom(std::uint64_t pc) {
  const auto* code = reinterpret_cast<const char*>(pc);
  return code == stacktide_start_return || code == stacktide_start_pc || code == stacktide_segment_return;
}

WalkStart walk_start(const Goroutine& g) {
  const auto* pc = reinterpret_cast<const char*>(g.pc);
  if (pc == stacktide_resume_pc) {
    const std::uint64_t rbp = g.sp + static_cast<std::uint64_t>(kContextRegisters[STACKTIDE_MAP_RBP]);
    return {WalkStart::Kind::context, g.sp, stack_word(rbp + 8), rbp + 16, stack_word(rbp)};
  }
  if (pc == stacktide_saved_pc || pc == stacktide_preempted_pc)
    return {WalkStart::Kind::morestack, g.bp, stack_word(g.bp + 8), g.bp + 16, stack_word(g.bp)};
  return {};
}

void FrameAudit::before(const Goroutine& g) {
  std::uint64_t rest = 0;
  frames_ = sum_ = 0;
  walk_frames(g, rest, [&](const MappedFrame& frame, const SiteRecord&) {
    ++frames_;
    sum_ = sum_ * 31 + (frame.pc ^ (g.stack_hi - frame.cfa) << 32);
    return true;
  });
  sum_ = sum_ * 31 + (g.stack_hi - rest);
}

void FrameAudit::after(const Goroutine& g) const {
  FrameAudit now;
  now.before(g);
  if (now.frames_ != frames_ || now.sum_ != sum_)
    fatal("a stack's frames differ after it was moved: its stack maps are wrong, or a pointer was lost");
}

}  // namespace stacktide::runtime

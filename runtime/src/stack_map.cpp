#include "stack_map.h"

#include <bit>
#include <mutex>

#include "fatal.h"
#include "scheduler.h"

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

const Loaded& maps() {
  if (!is_loaded.load(std::memory_order_acquire)) [[unlikely]] load();
  return loaded;
}

// Return address -> shape word, or that there is none. One atomic word each: the low 32 bits of the address, and the word.
constexpr unsigned kCacheBits = 10;
constinit std::atomic<std::uint64_t> cache[1U << kCacheBits]{};

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
  return STACKTIDE_NO_SHAPE;
}

bool is_code(std::uint64_t pc) {
  const Loaded& all = maps();
  for (std::size_t i = 0; i < all.count; ++i) {
    if (pc - all.regions[i].lo <= all.regions[i].size) return true;
  }
  return false;
}

std::uint64_t& at(std::uint64_t address) { return *reinterpret_cast<std::uint64_t*>(address); }

// One copy that is adjusted.
class Adjuster {
 public:
  Adjuster(const Goroutine& g, const Move& move) : g_(g), move_(move), size_(move.hi - move.lo) {}

  Adjusted run() {
    const WalkStart start = walk_start(g_);
    std::uint64_t rest = g_.sp;
    bool complete = false;
    if (start.kind != WalkStart::Kind::unknown) {
      begin(start);
      complete = walk({start.pc, start.sp, start.rbp, g_.stack_hi}, rest);
    }
    // Where the goroutine begins, or a segment, lie a few words that no frame has; beyond a frame without a record, all others.
    if (complete) check(rest, g_.stack_hi);
    else scan(rest, g_.stack_hi);
    flush(pending_);
    for (const Segment* s = g_.segments; s != nullptr; s = s->previous) complete = older(*s) && complete;
    count(complete);
    return adjusted_;
  }

 private:
  // Where the word at an old address lies now: only the segment that moved was copied.
  std::uint64_t place(std::uint64_t address) const {
    return address - move_.lo < size_ ? address + move_.delta : address;
  }

  std::uint32_t range(std::uint64_t from, std::uint64_t to) {
    std::uint32_t changed = 0;
    const std::uint64_t lo = move_.lo;
    const std::uint64_t size = size_;
    const std::uint64_t delta = move_.delta;
    if (from >= to) return 0;
    auto* word = &at(place(from));
    for (const auto* end = word + (to - from) / 8; word != end; ++word) {
      const bool inside = *word - lo <= size;
      *word += inside ? delta : 0;
      changed += inside;
    }
    return changed;
  }
  void check(std::uint64_t from, std::uint64_t to) {
    adjusted_.words += range(from, to);
    checked_ += (to - from) / 8;
  }
  void scan(std::uint64_t from, std::uint64_t to) {
    const std::uint32_t changed = range(from, to);
    adjusted_.words += changed;
    adjusted_.scanned += changed;
    scanned_ += (to - from) / 8;
  }
  void skip(std::uint64_t from, std::uint64_t to) {
    skipped_ += (to - from) / 8;
    if (!scheduler.stress_move) return;
    for (std::uint64_t word = from; word < to; word += 8) lookalikes_ += stack_word(word) - move_.lo <= size_;
  }

  // Saved registers whose kind no caller has told yet.
  void expect(unsigned index, std::uint64_t slot) {
    slots_[index] = slot;
    pending_ |= 1U << index;
  }
  void flush(std::uint32_t which) {
    pending_ &= ~which;
    for (; which != 0; which &= which - 1) {
      const std::uint64_t slot = slots_[std::countr_zero(which)];
      check(slot, slot + 8);
    }
  }
  void drop(std::uint32_t which) {
    for (std::uint32_t rest = pending_ & which; rest != 0; rest &= rest - 1) {
      const std::uint64_t slot = slots_[std::countr_zero(rest)];
      skip(slot, slot + 8);
    }
    pending_ &= ~which;
  }

  void begin(const WalkStart& start) {
    if (start.kind == WalkStart::Kind::context) {
      for (unsigned i = 0; i < STACKTIDE_MAP_REGISTER_COUNT; ++i)
        expect(i, start.base + static_cast<std::uint64_t>(kContextRegisters[i]));
      return;
    }
    const SiteRecord record = site_record(start.pc);
    const bool known = record.shape != nullptr && (record.shape->flags & STACKTIDE_SHAPE_MORESTACK) != 0;
    for (unsigned i = 0; i < STACKTIDE_MAP_REGISTER_COUNT; ++i) {
      expect(i, start.base + static_cast<std::uint64_t>(kMorestackRegisters[i]));
      const std::uint64_t argument = start.base + static_cast<std::uint64_t>(kMorestackArguments[i]);
      if (known && (record.scalars >> i & 1U) != 0) skip(argument, argument + 8);
      else check(argument, argument + 8);
    }
    for (const std::int64_t other : kMorestackOthers) {
      const std::uint64_t word = start.base + static_cast<std::uint64_t>(other);
      check(word, word + 8);
    }
  }

  bool walk(WalkPosition position, std::uint64_t& rest) {
    for (;;) {
      rest = position.sp;
      if (is_walk_bottom(position.pc)) return true;
      const SiteRecord record = site_record(position.pc);
      if (record.shape == nullptr) return false;
      const std::uint64_t cfa = cfa_of(*record.shape, position);
      if (cfa == 0) return false;
      frame(*record.shape, record.scalars, position.sp, cfa);
      step_out(*record.shape, cfa, position);
    }
  }

  void frame(const stacktide_map_shape& shape, std::uint32_t scalars, std::uint64_t sp, std::uint64_t cfa) {
    ++frames_;
    if (pending_ != 0) {
      if ((shape.flags & STACKTIDE_SHAPE_MORESTACK) == 0) drop(scalars);
      flush(shape.cfa == STACKTIDE_CFA_AT_RBP ? pending_ : pending_ & shape.saved);
    }
    const std::uint16_t* slot = shape_slots(shape);
    for (std::uint32_t saved = shape.saved; saved != 0; saved &= saved - 1)
      expect(static_cast<unsigned>(std::countr_zero(saved)), cfa - 8 * (*slot++ + std::uint64_t{1}));
    std::uint64_t high = cfa;
    for (std::uint32_t run = 0; run < shape.runs && high > sp; ++run) {
      const std::uint64_t bytes = STACKTIDE_RUN_COUNT(slot[run]) * std::uint64_t{8};
      const std::uint64_t low = bytes < high - sp ? high - bytes : sp;
      const unsigned kind = STACKTIDE_RUN_KIND(slot[run]);
      if (kind == STACKTIDE_WORD_SCALAR) skip(low, high);
      else if (kind != STACKTIDE_WORD_FRAME) check(low, high);
      high = low;
    }
    check(sp, high);
  }

  // An older segment: __morestack's frame, left when the next one was linked, then the frames above it. What it saved there is
  // what the callers have in their registers still.
  bool older(const Segment& segment) {
    const std::uint64_t bp = segment.sp + kMorestackBelow;
    scan(segment.sp, bp + 8);
    std::uint64_t rest = bp + 24;
    const bool complete = walk({stack_word(bp + 16), rest, stack_word(bp), segment.hi}, rest);
    if (complete) check(rest, segment.hi);
    else scan(rest, segment.hi);
    flush(pending_);
    return complete;
  }

  void count(bool complete) const {
    const auto add = [](std::atomic<std::uint64_t>& counter, std::uint64_t n) {
      if (n != 0) counter.fetch_add(n, std::memory_order_relaxed);
    };
    add(stack_maps.walks, 1);
    add(stack_maps.complete, complete ? 1 : 0);
    add(stack_maps.frames, frames_);
    add(stack_maps.words_skipped, skipped_);
    add(stack_maps.words_checked, checked_);
    add(stack_maps.words_scanned, scanned_);
    add(stack_maps.lookalikes, lookalikes_);
  }

  const Goroutine& g_;
  const Move move_;
  const std::uint64_t size_;
  Adjusted adjusted_;
  std::uint32_t pending_ = 0;
  std::uint64_t slots_[STACKTIDE_MAP_REGISTER_COUNT] = {};
  std::uint64_t frames_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t checked_ = 0;
  std::uint64_t scanned_ = 0;
  std::uint64_t lookalikes_ = 0;
};

}  // namespace

void find_stack_maps(std::uint8_t adjust) {
  stack_maps.adjust = adjust;
  stack_maps.address = reinterpret_cast<std::uint64_t>(&stacktide_maps);
  stack_maps.size = reinterpret_cast<std::uint64_t>(stacktide_maps_end) - stack_maps.address;
}

bool has_stack_maps() { return stack_maps.address != 0 && maps().count != 0; }

bool has_pinned_records() { return has_stack_maps() && maps().pinned != 0; }

SiteRecord site_record(std::uint64_t pc) {
  if (!has_stack_maps()) return {};
  std::atomic<std::uint64_t>& entry = cache[(pc * 0x9e3779b97f4a7c15U) >> (64 - kCacheBits)];
  const std::uint64_t known = entry.load(std::memory_order_relaxed);
  std::uint32_t word = static_cast<std::uint32_t>(known);
  // An address of other code may have the same low half, and entry 0 is none.
  if (known >> 32 != (pc & 0xffffffff) || known == 0 || !is_code(pc)) [[unlikely]] {
    if (!is_code(pc)) return {};
    word = search(pc);
    entry.store(pc << 32 | word, std::memory_order_relaxed);
  }
  if (STACKTIDE_SITE_SHAPE(word) == STACKTIDE_NO_SHAPE) return {};
  return {reinterpret_cast<const stacktide_map_shape*>(maps().shapes + std::uint64_t{4} * STACKTIDE_SITE_SHAPE(word)),
          STACKTIDE_SITE_SCALARS(word)};
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

Adjusted adjust_by_maps(const Goroutine& g, const Move& move) { return Adjuster(g, move).run(); }

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

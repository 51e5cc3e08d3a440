// Copies a stack and adjusts the copy by its maps.
//
// Concept. Comparing a word costs less than asking what it is, so all words of a frame are copied and adjusted in one go,
// and then those that are scalars for certain get back what the old stack holds. Frames of one function in a row, a
// recursion's, are taken together. Only long stretches of numbers are gone around. An older segment, which was not copied,
// is adjusted run by run.
//
// Rejected: to look at each run of words for what it is (three times the price of scanning for small frames).
#include <bit>
#include <cstring>

#include "adjust_words.h"
#include "scheduler.h"
#include "solo.h"
#include "stack_map.h"

namespace stacktide::runtime {
namespace {

std::uint64_t& at(std::uint64_t address) { return *reinterpret_cast<std::uint64_t*>(address); }

// A frame's shape as adjusting wants it: made when a walk comes to another site than that of the frame before.
struct FramePlan {
  FramePlan() {}  // NOLINT: see make()
  static constexpr std::size_t kMaxStretches = 8;
  static constexpr std::uint32_t kLong = 32;  // words of numbers that are worth going around

  std::uint64_t pc;  // 0: nothing else here says anything
  SiteRecord record;
  std::uint32_t scalars;  // registers that the frame's function says to be scalars
  bool by_runs;           // too many stretches, or a long one
  std::uint8_t stretches;
  std::uint64_t extent;  // bytes below the CFA that the shape speaks of
  struct {
    std::uint32_t below;  // bytes from the CFA down to its lowest word
    std::uint32_t words;
  } scalar[kMaxStretches];

  // In place, and not by a constructor: there are eight on each growth, most of them never used.
  void make(std::uint64_t at) {
    pc = at;
    record = site_record(at);
    scalars = 0;
    by_runs = false;
    stretches = 0;
    extent = 0;
    if (record.shape == nullptr) return;
    const stacktide_map_shape& shape = *record.shape;
    if ((shape.flags & STACKTIDE_SHAPE_MORESTACK) == 0) scalars = record.scalars;
    const std::uint16_t* runs = shape_slots(shape) + shape_saves(shape);
    for (std::uint32_t run = 0; run < shape.runs; ++run) {
      const std::uint32_t words = STACKTIDE_RUN_COUNT(runs[run]);
      extent += words * std::uint64_t{8};
      if (STACKTIDE_RUN_KIND(runs[run]) != STACKTIDE_WORD_SCALAR) continue;
      if (words >= kLong || stretches == kMaxStretches) by_runs = true;
      else scalar[stretches++] = {static_cast<std::uint32_t>(extent), words};
    }
  }
};

// One copy that is adjusted.
class Adjuster {
 public:
  Adjuster(const Goroutine& g, const Move& move) : g_(g), move_(move), shift_{move.lo, move.hi - move.lo, move.delta} {
    for (FramePlan& plan : plans_) plan.pc = 0;
  }

  Adjusted run() {
    const WalkStart start = walk_start(g_);
    rest_ = g_.sp;
    bool complete = false;
    if (start.kind != WalkStart::Kind::unknown) {
      begin(start);
      complete = walk_copy({start.pc, start.sp, start.rbp, g_.stack_hi});
    }
    // Where the goroutine begins, or a segment, lie a few words that no frame has; beyond a frame without a record, all
    // others.
    if (complete) check(rest_, g_.stack_hi);
    else scan(rest_, g_.stack_hi);
    for (const Segment* s = g_.segments; s != nullptr; s = s->previous) complete = older(*s) && complete;
    count(complete);
    return adjusted_;
  }

 private:
  // Where the word at an old address is to lie: only the segment that moves is copied.
  std::uint64_t place(std::uint64_t address) const {
    return address - move_.lo < shift_.size ? address + move_.delta : address;
  }

  std::uint32_t range(std::uint64_t from, std::uint64_t to) const {
    return adjust_words(&at(place(from)), &at(from), (to - from) / 8, shift_);
  }
  std::uint32_t check(std::uint64_t from, std::uint64_t to) {
    if (from >= to) return 0;
    const std::uint32_t changed = range(from, to);
    adjusted_.words += changed;
    checked_ += (to - from) / 8;
    return changed;
  }
  void scan(std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    const std::uint32_t changed = range(from, to);
    adjusted_.words += changed;
    adjusted_.scanned += changed;
    scanned_ += (to - from) / 8;
  }
  // Words that stay as they are.
  void skip(std::uint64_t from, std::uint64_t to) {
    skipped_ += (to - from) / 8;
    if (place(from) != from) std::memcpy(&at(place(from)), &at(from), to - from);
    if (!scheduler.stress_move) return;
    for (std::uint64_t word = from; word < to; word += 8) lookalikes_ += stack_word(word) - move_.lo <= shift_.size;
  }

  void count_kept(std::uint64_t words) {
    skipped_ += words;
    checked_ -= words;
  }
  // Gives `words` words of the copy, and the same ones of `frames` frames of `size` bytes each, their old values back.
  void keep(std::uint64_t from, std::uint32_t words, std::uint64_t frames = 1, std::uint64_t size = 0) {
    count_kept(words * frames);
    for (; frames != 0; --frames, from += size) {
      // Hardly ever does a number look like an address of its own stack, so to find that out comes first.
      const std::uint64_t* old = &at(from);
      std::uint64_t* now = &at(from + move_.delta);
      std::uint64_t differ = 0;
      for (std::uint32_t n = 0; n < words; ++n) differ |= now[n] ^ old[n];
      if (differ == 0) [[likely]]
        continue;
      for (std::uint32_t n = 0; n < words; ++n) {
        adjusted_.words -= now[n] != old[n];
        lookalikes_ += now[n] != old[n];
        now[n] = old[n];
      }
    }
  }

  // Registers that a frame saved are as its callers say: their slots wait for the first caller that does.
  void wait(unsigned index, std::uint64_t slot) {
    slots_[index] = slot;
    waiting_ |= 1U << index;
  }
  void saved_in(const stacktide_map_shape& shape, std::uint64_t cfa) {
    const std::uint16_t* slot = shape_slots(shape);
    for (std::uint32_t saved = shape.saved; saved != 0; saved &= saved - 1, ++slot)
      wait(static_cast<unsigned>(std::countr_zero(saved)), cfa - 8 * (*slot + std::uint64_t{1}));
  }

  void begin(const WalkStart& start) {
    // What the check, or the runtime call, has just pushed.
    const std::uint64_t pushed = (start.sp - rest_) / 8;
    adjusted_.words += adjust_stored_words(&at(place(rest_)), &at(rest_), pushed, shift_);
    checked_ += pushed;
    if (start.kind == WalkStart::Kind::context) {
      for (unsigned i = 0; i < STACKTIDE_MAP_REGISTER_COUNT; ++i)
        wait(i, start.base + static_cast<std::uint64_t>(kContextRegisters[i]));
      return;
    }
    const SiteRecord record = site_record(start.pc);
    const bool known = record.shape != nullptr && (record.shape->flags & STACKTIDE_SHAPE_MORESTACK) != 0;
    for (unsigned i = 0; i < STACKTIDE_MAP_REGISTER_COUNT; ++i) {
      wait(i, start.base + static_cast<std::uint64_t>(kMorestackRegisters[i]));
      if (known && (record.scalars >> i & 1U) != 0) keep(start.base + static_cast<std::uint64_t>(kMorestackArguments[i]), 1);
    }
  }

  const FramePlan& plan_of(std::uint64_t pc) {
    FramePlan& plan = plans_[pc / 4 % kPlans];
    if (plan.pc != pc) plan.make(pc);
    return plan;
  }

  bool walk_copy(WalkPosition position) {
    for (;;) {
      rest_ = position.sp;
      const FramePlan& plan = plan_of(position.pc);
      if (plan.record.shape == nullptr) return is_walk_bottom(position.pc);
      const stacktide_map_shape& shape = *plan.record.shape;
      const std::uint64_t cfa = cfa_of(shape, position);
      if (cfa == 0) return false;
      if (plan.by_runs || plan.extent > cfa - position.sp) [[unlikely]] {
        ++frames_;
        decide(plan, cfa);
        runs(shape, position.sp, cfa);
        step_out(shape, cfa, position);
      } else {
        block(plan, cfa, position);
      }
    }
  }

  // What callees saved of the registers that this frame's function says to be scalars is kept; what it saves itself was
  // decided by nobody, and stays adjusted.
  void decide(const FramePlan& plan, std::uint64_t cfa) {
    const stacktide_map_shape& shape = *plan.record.shape;
    for (std::uint32_t known = waiting_ & plan.scalars; known != 0; known &= known - 1)
      keep(slots_[std::countr_zero(known)], 1);
    waiting_ &= shape.cfa == STACKTIDE_CFA_AT_RBP ? 0 : ~(plan.scalars | shape.saved);
    saved_in(shape, cfa);
  }

  // The frame at `position`, which ends at cfa, and those that follow it at the same place of the same function.
  void block(const FramePlan& plan, std::uint64_t cfa, WalkPosition& position) {
    const stacktide_map_shape& shape = *plan.record.shape;
    const std::uint64_t first = position.sp;
    const std::uint64_t size = cfa - first;
    std::uint64_t frames = 1;
    if (shape.cfa == STACKTIDE_CFA_RSP) {
      std::uint64_t last = first + kBlock < position.hi - size ? first + kBlock : position.hi - size;
      while (cfa < last && stack_word(cfa - 8) == plan.pc) cfa += size, ++frames;
    }
    frames_ += frames;
    const bool any = check(first, cfa) != 0;
    for (std::uint32_t i = 0; i < plan.stretches; ++i) {
      if (any) {
        keep(first + size - plan.scalar[i].below, plan.scalar[i].words, frames, size);
      } else {
        count_kept(plan.scalar[i].words * frames);
      }
    }
    decide(plan, first + size);
    if (frames > 1) {
      // Each of the others decides about its callee; what the last one saved waits.
      const std::uint64_t apart = cfa - size - first;
      for (std::uint32_t saved = shape.saved; saved != 0; saved &= saved - 1) {
        const auto index = static_cast<unsigned>(std::countr_zero(saved));
        if ((plan.scalars >> index & 1U) != 0) keep(slots_[index], 1, frames - 1, size);
        slots_[index] += apart;
      }
      // The caller's rbp is what the last one saved.
      if ((shape.saved & (1U << STACKTIDE_MAP_RBP)) != 0) position.rbp = stack_word(slots_[STACKTIDE_MAP_RBP]);
      position.sp = cfa;
      position.pc = stack_word(cfa - 8);
      return;
    }
    step_out(shape, cfa, position);
  }

  // Run by run, leaving out scalars; saved registers, too, which wait for their callers.
  void runs(const stacktide_map_shape& shape, std::uint64_t sp, std::uint64_t cfa) {
    const std::uint16_t* run = shape_slots(shape) + shape_saves(shape);
    std::uint64_t high = cfa;
    for (std::uint32_t i = 0; i < shape.runs && high > sp; ++i) {
      const std::uint64_t bytes = STACKTIDE_RUN_COUNT(run[i]) * std::uint64_t{8};
      const std::uint64_t low = bytes < high - sp ? high - bytes : sp;
      if (STACKTIDE_RUN_KIND(run[i]) == STACKTIDE_WORD_SCALAR) skip(low, high);
      else check(low, high);
      high = low;
    }
    check(sp, high);
  }

  // An older segment: __morestack's frame, left when the next one was linked, then the frames above it. What it saved there
  // is what the callers have in their registers still. A saved register is adjusted, whatever it is: nothing holds its old
  // value.
  bool older(const Segment& segment) {
    const std::uint64_t bp = segment.sp + kMorestackBelow;
    scan(segment.sp, bp + 8);
    rest_ = bp + 24;
    WalkPosition position{stack_word(bp + 16), rest_, stack_word(bp), segment.hi};
    bool complete = false;
    for (;;) {
      rest_ = position.sp;
      const SiteRecord record = site_record(position.pc);
      const std::uint64_t cfa = record.shape == nullptr ? 0 : cfa_of(*record.shape, position);
      complete = is_walk_bottom(position.pc);
      if (cfa == 0) break;
      ++frames_;
      // The words that say where the next frame is are none that a move changes.
      runs(*record.shape, position.sp, cfa);
      step_out(*record.shape, cfa, position);
    }
    if (complete) check(rest_, segment.hi);
    else scan(rest_, segment.hi);
    return complete;
  }

  void count(bool complete) const {
    const SoloSection section;
    const auto add = [&](std::atomic<std::uint64_t>& counter, std::uint64_t n) {
      if (n != 0) section.add(counter, n);
    };
    add(stack_maps.walks, 1);
    add(stack_maps.complete, complete ? 1 : 0);
    add(stack_maps.frames, frames_);
    add(stack_maps.words_skipped, skipped_);
    add(stack_maps.words_checked, checked_);
    add(stack_maps.words_scanned, scanned_);
    add(stack_maps.lookalikes, lookalikes_);
  }

  static constexpr std::size_t kPlans = 8;
  static constexpr std::uint64_t kBlock = 4096;  // bytes that are still in the nearest cache when they are put right

  const Goroutine& g_;
  const Move move_;
  const Shift shift_;
  Adjusted adjusted_;
  std::uint64_t rest_ = 0;     // where the walk is: below, all is adjusted
  std::uint32_t waiting_ = 0;  // registers whose slots no frame has decided about
  std::uint64_t slots_[STACKTIDE_MAP_REGISTER_COUNT] = {};
  std::uint64_t frames_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t checked_ = 0;
  std::uint64_t scanned_ = 0;
  std::uint64_t lookalikes_ = 0;
  FramePlan plans_[kPlans];
};

}  // namespace

Adjusted copy_by_maps(const Goroutine& g, const Move& move) { return Adjuster(g, move).run(); }

}  // namespace stacktide::runtime

// Stack maps in the running program: walking frames by their records, and adjusting a copied stack through them.
//
// Concept. stacktide-link has put a record into the program for each return address in goroutine code (stack_map.h of the
// abi). From the context that a goroutine saved, its frames are walked by these alone: where the next frame is, which words
// are scalars for certain, where callee-saved registers lie. What was saved of a register has the kind that the register has
// in the nearest caller that says, so a slot waits until that one comes. A word that is no scalar for certain is compared
// with the range that moves. Where a frame has no record the walk ends, and the rest is scanned.
//
// Records are found through a small table, hashed by return address, in front of a binary search: a deep stack is mostly
// the same few places. Nothing of the maps is touched before the first check that fails.
//
// Invariants. A frame is as pinned as its record says; where records end, any word that could be the return address of a
// pinned frame is taken for one (stack_growth.h).
//
// Rejected: libunwind or libgcc's unwinder (a microsecond a frame, and locks); a hash table of all records (memory that most
// programs never use).
#pragma once

#include <atomic>
#include <cstdint>

#include "goroutine.h"
#include "stacktide/stack_map.h"

namespace stacktide::runtime {

// Exported (abi.h, type stack_maps).
struct StackMaps {
  std::uint64_t address;
  std::uint64_t size;
  std::uint8_t adjust;  // adjust_maps or adjust_scan
  std::atomic<std::uint64_t> walks;
  std::atomic<std::uint64_t> complete;
  std::atomic<std::uint64_t> frames;
  std::atomic<std::uint64_t> words_skipped;
  std::atomic<std::uint64_t> words_checked;
  std::atomic<std::uint64_t> words_scanned;
  std::atomic<std::uint64_t> lookalikes;
};
extern StackMaps stack_maps;

// Notes where the maps are, for readers; reads nothing of them. Once, at start.
void find_stack_maps(std::uint8_t adjust);
bool has_stack_maps();
// Are there frames that only their records know to be pinned?
bool has_pinned_records();

// The record of a return address. shape is nullptr when there is none.
struct SiteRecord {
  const stacktide_map_shape* shape = nullptr;
  std::uint32_t scalars = 0;
  // 1: it is a site, though perhaps nothing is known of its frame. A word, so that a record is two whole ones: copying 13
  // bytes waits for the store buffer.
  std::uint32_t found = 0;
  bool pinned() const { return found != 0 && (shape == nullptr || (shape->flags & STACKTIDE_SHAPE_PINNED) != 0); }
};
SiteRecord site_record(std::uint64_t pc);

// One frame of a walk: from sp to cfa, running at pc.
struct MappedFrame {
  std::uint64_t pc;
  std::uint64_t sp;
  std::uint64_t cfa;
};

// How a walk over one segment ended.
enum class WalkEnd : std::uint8_t {
  bottom,     // at the goroutine's entry, or where the segment was linked
  no_record,  // at a frame without a record
};

// Walks the current segment of a goroutine whose context is saved. Calls visit(frame, record) from the youngest frame on,
// until that returns false. `rest`: where the frames that were not walked begin.
template <class Visit>
WalkEnd walk_frames(const Goroutine& g, std::uint64_t& rest, Visit visit);

// A segment that is copied: its words from g.sp on come to lie `delta` bytes higher.
struct Move {
  std::uint64_t lo;  // old extent
  std::uint64_t hi;
  std::uint64_t delta;
};
struct Adjusted {
  std::uint32_t words = 0;    // changed
  std::uint32_t scanned = 0;  // of these, without a record
};
// Copies them, and adjusts the copy and what older segments hold. g still describes the old segment.
Adjusted copy_by_maps(const Goroutine& g, const Move& move);
// Under stress: the frames of the moved stack must be those of the old one, as far from its end. Ends the program if they
// are not.
class FrameAudit {
 public:
  void before(const Goroutine& g);
  void after(const Goroutine& g) const;

 private:
  std::uint64_t frames_ = 0;
  std::uint64_t sum_ = 0;  // over pcs and distances from the stack's end
};

// ---- The walk itself ----

// What __morestack and a runtime call leave on the stack (morestack.S): registers of STACKTIDE_MAP_REGISTERS and of
// STACKTIDE_MAP_ARGUMENTS, as distances from rbp, or from sp.
inline constexpr std::int64_t kMorestackRegisters[] = {-80, 0, -88, -96, -104, -112};
inline constexpr std::int64_t kMorestackArguments[] = {-40, -32, -24, -16, -48, -56};
inline constexpr std::uint64_t kMorestackBelow = 112;  // from rbp down to the last one
inline constexpr std::int64_t kContextRegisters[] = {32, 40, 24, 16, 8, 0};

inline std::uint64_t stack_word(std::uint64_t address) { return *reinterpret_cast<const std::uint64_t*>(address); }

// Where a walk starts: by what the goroutine's saved pc says that it left.
struct WalkStart {
  enum class Kind : std::uint8_t { unknown, context, morestack } kind = Kind::unknown;
  std::uint64_t base = 0;  // sp or rbp, as above
  std::uint64_t pc = 0;    // of the first frame
  std::uint64_t sp = 0;
  std::uint64_t rbp = 0;
};
WalkStart walk_start(const Goroutine& g);

// Where a walk is.
struct WalkPosition {
  std::uint64_t pc;
  std::uint64_t sp;
  std::uint64_t rbp;
  std::uint64_t hi;  // of the segment
};
bool is_walk_bottom(std::uint64_t pc);

// How many registers a shape saves; there is an instruction for it, but not on every processor, and else it is a call.
inline unsigned shape_saves(const stacktide_map_shape& shape) {
  unsigned n = 0;
  for (std::uint32_t saved = shape.saved; saved != 0; saved &= saved - 1) ++n;
  return n;
}

// The slots of registers that a shape saves; behind them its runs.
inline const std::uint16_t* shape_slots(const stacktide_map_shape& shape) {
  return reinterpret_cast<const std::uint16_t*>(&shape + 1);
}

// The CFA of the frame, 0 when it cannot be.
inline std::uint64_t cfa_of(const stacktide_map_shape& shape, const WalkPosition& at) {
  const auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(shape.offset));
  std::uint64_t cfa = 0;
  if (shape.cfa == STACKTIDE_CFA_RSP) cfa = at.sp + offset;
  else if (shape.cfa == STACKTIDE_CFA_RBP) cfa = at.rbp + offset;
  else if (at.rbp % 8 == 0 && at.rbp - at.sp < at.hi - at.sp && at.rbp + offset - at.sp < at.hi - at.sp)
    cfa = stack_word(at.rbp + offset);
  return cfa - at.sp - 8 <= at.hi - at.sp - 8 && cfa % 8 == 0 ? cfa : 0;
}

// The caller's rbp and pc, and its sp.
inline void step_out(const stacktide_map_shape& shape, std::uint64_t cfa, WalkPosition& at) {
  if (shape.cfa == STACKTIDE_CFA_AT_RBP) {
    at.rbp = stack_word(at.rbp);
  } else if ((shape.saved & (1U << STACKTIDE_MAP_RBP)) != 0) {
    const unsigned index = (shape.saved & ((1U << STACKTIDE_MAP_RBP) - 1)) != 0 ? 1 : 0;
    static_assert(STACKTIDE_MAP_RBP == 1);
    at.rbp = stack_word(cfa - 8 * (shape_slots(shape)[index] + std::uint64_t{1}));
  }
  at.pc = stack_word(cfa - 8);
  at.sp = cfa;
}

template <class Visit>
WalkEnd walk_frames(const Goroutine& g, std::uint64_t& rest, Visit visit) {
  const WalkStart start = walk_start(g);
  rest = g.sp;
  if (start.kind == WalkStart::Kind::unknown) return WalkEnd::no_record;
  WalkPosition at{start.pc, start.sp, start.rbp, g.stack_hi};
  for (;;) {
    rest = at.sp;
    if (is_walk_bottom(at.pc)) return WalkEnd::bottom;
    const SiteRecord record = site_record(at.pc);
    if (record.shape == nullptr) return WalkEnd::no_record;
    const std::uint64_t cfa = cfa_of(*record.shape, at);
    if (cfa == 0) return WalkEnd::no_record;
    if (!visit(MappedFrame{at.pc, at.sp, cfa}, record)) return WalkEnd::bottom;
    step_out(*record.shape, cfa, at);
  }
}

}  // namespace stacktide::runtime

#include "call_chains.h"

#include <sys/mman.h>

#include <atomic>

#include "fatal.h"
#include "stack_map.h"

namespace stacktide::runtime {
namespace {

struct Slot {
  std::atomic<std::uint64_t> hash;    // 0: free
  std::atomic<std::uint32_t> number;  // 0: its record is not written yet
};
constexpr std::uint32_t kSlots = 1U << 16;
constexpr std::uint32_t kProbes = 16;

constinit Slot* slots = nullptr;
constinit std::atomic<std::uint32_t> last_number = 0;

struct Chain {
  std::uint64_t pcs[STACKTIDE_TRACE_DEPTH];
  std::uint32_t depth = 0;
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  void add(std::uint64_t pc) {
    pcs[depth++] = pc;
    hash = (hash ^ pc) * 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  }
};

// A new number with its record; 0 when that is lost.
std::uint32_t write_chain(Lane& lane, const Chain& chain) {
  const auto size = static_cast<std::uint16_t>(sizeof(stacktide_trace_chain) + chain.depth * sizeof(std::uint64_t));
  auto* record = static_cast<stacktide_trace_chain*>(begin_record(lane, size));
  if (record == nullptr) return 0;
  const std::uint32_t number = last_number.fetch_add(1, std::memory_order_relaxed) + 1;
  record->head = {STACKTIDE_TRACE_CHAIN, 0, size, number, 0, 0};
  auto* pcs = reinterpret_cast<std::uint64_t*>(record + 1);
  for (std::uint32_t i = 0; i < chain.depth; ++i) pcs[i] = chain.pcs[i];
  end_record(lane, size);
  return number;
}

std::uint32_t number_of(Lane& lane, const Chain& chain) {
  const std::uint64_t hash = chain.hash == 0 ? 1 : chain.hash;
  for (std::uint32_t i = 0; i < kProbes; ++i) {
    Slot& slot = slots[(hash + i) % kSlots];
    std::uint64_t there = slot.hash.load(std::memory_order_acquire);
    if (there == 0 && slot.hash.compare_exchange_strong(there, hash, std::memory_order_acq_rel)) there = hash;
    if (there != hash) continue;
    std::uint32_t number = slot.number.load(std::memory_order_acquire);
    if (number != 0) return number;
    number = write_chain(lane, chain);
    if (number != 0) slot.number.store(number, std::memory_order_release);
    return number;
  }
  return write_chain(lane, chain);
}

}  // namespace

void prepare_call_chains() {
  void* memory =
      mmap(nullptr, kSlots * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fatal("out of memory for a recording");
  slots = static_cast<Slot*>(memory);
}

std::uint32_t call_chain(Lane& lane, const Goroutine& g, std::uint64_t pc, std::uint64_t caller) {
  Chain chain;
  std::uint64_t rest = 0;
  walk_frames(g, rest, [&](const MappedFrame& frame, const SiteRecord&) {
    chain.add(frame.pc);
    return chain.depth < STACKTIDE_TRACE_DEPTH;
  });
  if (chain.depth == 0) {
    if (pc == 0) return 0;
    chain.add(pc);
  }
  if (chain.depth == 1 && caller != 0) chain.add(caller);
  return number_of(lane, chain);
}

std::uint32_t call_chain(Lane& lane, std::uint64_t pc) {
  if (pc == 0) return 0;
  Chain chain;
  chain.add(pc);
  return number_of(lane, chain);
}

}  // namespace stacktide::runtime

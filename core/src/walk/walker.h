// The walker: reads any runtime that exports a descriptor, and fills a Snapshot with plain values.
//
// Concept. Slabs of goroutine records, Ms, Ps, queues and event rings are read in bulk by the descriptor's layout. Nothing
// is unwound and nothing is symbolised here, so a walk costs reads only.
//
// Invariants. All that comes from the target is hostile: every count is capped (kMax...), every chain has a visited check,
// every ring's length is checked before use. A thing that contradicts itself stays in its list with its damage; a thing that
// is absent is counted as skipped. The walk itself never fails.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "descriptor/descriptor.h"
#include "descriptor/layout.h"
#include "stacktide/core/snapshot.h"
#include "stacktide/core/target.h"

namespace stacktide {

inline constexpr std::uint64_t kMaxGoroutines = 16U << 20;
inline constexpr std::uint64_t kMaxChain = 1U << 20;  // per goroutine
inline constexpr std::uint64_t kMaxAllSegments = 16U << 20;
inline constexpr std::uint64_t kMaxSlabs = 1U << 20;
inline constexpr std::uint64_t kMaxMachines = 1U << 16;  // Ms, and Ps
inline constexpr std::uint64_t kMaxHotSplits = 1U << 20;
inline constexpr std::uint64_t kMaxEvents = 16U << 20;  // over all rings
inline constexpr std::size_t kMaxDamage = 16;           // per goroutine, M, P or queue

// Everything that `layout` has switched on. Does not fill producer, frames, or anything by symbol.
Snapshot walk(Target& target, const Descriptor& descriptor, const Layout& layout);
// Which goroutine runs on a thread, for questions that are asked a hundred thousand times. Keeps nothing but which M a
// thread is, and checks that each time.
class Running {
 public:
  // Needs layout.scheduler_on. Reads the descriptor again, into `descriptor`, when the thread is none of the Ms known so
  // far. Errors: memory_fault.
  Result<std::optional<Goroutine>> on(Target& target, Descriptor& descriptor, const Layout& layout, std::uint64_t tid);

 private:
  std::optional<std::vector<std::byte>> machine(Memory& memory, Descriptor& descriptor, const Layout& layout,
                                                std::uint64_t tid);
  std::unordered_map<std::uint64_t, Address> machine_of_;  // tid -> M
};
// The record of this goroutine as it is now, by its address; nothing when it is another's, or free. Errors: memory_fault.
Result<std::optional<Goroutine>> read_goroutine(Target& target, const Descriptor& descriptor, const Layout& layout,
                                                const Goroutine& goroutine);
// The runtime's own count of goroutines; nothing where it exports none, or it cannot be read.
std::optional<std::uint64_t> live_goroutines(Memory& memory, const Descriptor& descriptor, const Layout& layout);
// One event record, for tracing: nothing else is read.
Result<StackEvent> read_event(Memory& memory, const Descriptor& descriptor, const Layout& layout, Address address);
// Size, use, headroom and high-water from the stack's segments; after its sp became known.
void measure(Stack& stack);

}  // namespace stacktide

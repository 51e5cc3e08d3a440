// Which goroutine runs on one thread, by an M and a record: the cost does not depend on how many goroutines there are.
//
// A breakpoint with a condition asks this at each hit. What a thread's M is does not change, so it is looked for once; it is
// checked all the same, since a thread's id may be given to another.
#include <algorithm>

#include "walk/bulk.h"
#include "walk/parts.h"

namespace stacktide {

std::optional<std::vector<std::byte>> Running::machine(Memory& memory, Descriptor& descriptor, const Layout& layout,
                                                       std::uint64_t tid) {
  const auto& fields = layout.m;
  std::vector<std::byte> bytes(fields.record_size);
  if (const auto known = machine_of_.find(tid); known != machine_of_.end()) {
    if (memory.read(known->second, bytes) && Record(bytes).number(fields.tid) == tid) return bytes;
    machine_of_.erase(known);
  }
  // Roots are live: there may be more Ms than when the descriptor was read.
  if (auto again = read_descriptor(memory, descriptor.address)) descriptor.roots = std::move(again->roots);
  const auto* root = descriptor.root("ms");
  if (root == nullptr || root->address == 0 || root->stride < fields.record_size) return std::nullopt;
  bool found = false;
  for_each_record(memory, root->address, std::min(root->count, kMaxMachines), root->stride, fields.record_size, false,
                  [&](std::uint64_t index, std::span<const std::byte> record, std::span<const std::byte>) {
                    if (found || Record(record).number(fields.tid) != tid) return;
                    found = true;
                    bytes.assign(record.begin(), record.end());
                    machine_of_.emplace(tid, root->address + index * root->stride);
                  });
  if (!found) return std::nullopt;
  return bytes;
}

Result<std::optional<Goroutine>> Running::on(Target& target, Descriptor& descriptor, const Layout& layout,
                                             std::uint64_t tid) {
  if (tid == 0) return std::nullopt;
  const auto bytes = machine(target.memory(), descriptor, layout, tid);
  if (!bytes) return std::nullopt;
  const auto goroutine = Record(*bytes).number(layout.m.goroutine);
  if (goroutine == 0) return std::nullopt;
  Snapshot snapshot;
  WalkContext context{target, descriptor, layout, snapshot, {}, {}, {}, {}, {}, {}, {}, {}};
  Machine m;
  m.address = machine_of_.at(tid);
  m.id = Record(*bytes).number(layout.m.id);
  m.tid = tid;
  context.machine_at.emplace(m.address, 0);
  context.machine_of.emplace(goroutine, 0);
  snapshot.ms.push_back(std::move(m));
  STACKTIDE_TRY(walk_goroutine(context, goroutine));
  if (snapshot.goroutines.empty()) return std::nullopt;
  auto& found = snapshot.goroutines.front();
  found.tid = tid;
  return std::move(found);
}

Result<std::optional<Goroutine>> read_goroutine(Target& target, const Descriptor& descriptor, const Layout& layout,
                                                const Goroutine& goroutine) {
  Snapshot snapshot;
  WalkContext context{target, descriptor, layout, snapshot, {}, {}, {}, {}, {}, {}, {}, {}};
  STACKTIDE_TRY(walk_goroutine(context, goroutine.address));
  if (snapshot.goroutines.empty() || snapshot.goroutines.front().id != goroutine.id) return std::nullopt;
  return std::move(snapshot.goroutines.front());
}

std::optional<std::uint64_t> live_goroutines(Memory& memory, const Descriptor& descriptor, const Layout& layout) {
  const auto& fields = layout.scheduler;
  const auto* root = descriptor.root("scheduler");
  if (!layout.scheduler_on || !fields.live || root == nullptr || root->address == 0 || root->count == 0) return std::nullopt;
  std::vector<std::byte> bytes(fields.record_size);
  if (!memory.read(root->address, bytes)) return std::nullopt;
  return Record(bytes).number(fields.live);
}

}  // namespace stacktide

// Ms, Ps, run queues and the scheduler record.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "walk/bulk.h"
#include "walk/parts.h"

namespace stacktide {
namespace {

std::uint64_t capped(WalkContext& context, std::string_view what, std::uint64_t count) {
  if (count <= kMaxMachines) return count;
  context.snapshot.damage.push_back(fmt::format("{} {}: only {} are looked at", count, what, kMaxMachines));
  return kMaxMachines;
}

// The id of the goroutine at this address; 0, with damage, when there is none.
std::uint64_t goroutine_id(const WalkContext& context, Address address, std::string_view where, std::vector<Error>& damage) {
  if (const auto found = context.id_at.find(address); found != context.id_at.end()) return found->second;
  if (damage.size() >= kMaxDamage) return 0;
  damage.push_back({ErrorCode::damaged_data, address, fmt::format("{} names a goroutine that is not in the slabs", where)});
  return 0;
}

class ProcessorWalk {
 public:
  explicit ProcessorWalk(WalkContext& context)
      : context_(context), fields_(context.layout.p), statuses_(enum_texts(context.descriptor, "p", "status")) {}

  void add(Address address, const Record& record) {
    Processor p;
    p.address = address;
    p.id = record.number(fields_.id);
    p.status = enum_text(statuses_, record.signed_number(fields_.status));
    p.ticks = record.number(fields_.ticks);
    if (const auto m = context_.machine_at.find(record.number(fields_.m)); m != context_.machine_at.end()) {
      p.m = context_.snapshot.ms[m->second].id;
    }
    if (const auto next = record.number(fields_.run_next); next != 0)
      p.run_next = goroutine_id(context_, next, "run_next", p.damage);
    queue(p, record);
    context_.processor_at.emplace(address, p.id);
    context_.snapshot.ps.push_back(std::move(p));
  }

 private:
  // Head and tail count up for ever, modulo 2^32.
  void queue(Processor& p, const Record& record) const {
    const auto length = record.address_count(fields_.run_queue);
    const auto head = static_cast<std::uint32_t>(record.number(fields_.run_head));
    const auto tail = static_cast<std::uint32_t>(record.number(fields_.run_tail));
    const std::uint32_t entries = tail - head;
    const auto possible = std::min<std::size_t>(length, context_.id_at.size());
    if (entries > possible) {
      p.damage.push_back({ErrorCode::damaged_data, p.address,
                          fmt::format("P {}: {} entries in a run queue of {}, {} goroutines known", p.id, entries, length,
                                      context_.id_at.size())});
    }
    for (std::uint32_t i = 0; i < std::min<std::size_t>(entries, possible); ++i) {
      const auto address = record.address_at(fields_.run_queue, static_cast<std::uint32_t>(head + i) % length);
      if (const auto id = goroutine_id(context_, address, "the run queue", p.damage); id != 0) p.run_queue.push_back(id);
    }
  }

  WalkContext& context_;
  const p_fields& fields_;
  const EnumTexts* statuses_;
};

void walk_global_queue(WalkContext& context, Address address) {
  auto& scheduler = context.snapshot.scheduler;
  std::unordered_set<Address> visited;
  while (address != 0) {
    if (!visited.insert(address).second) {
      scheduler.damage.push_back({ErrorCode::damaged_data, address, "the global queue forms a cycle"});
      return;
    }
    const auto id = goroutine_id(context, address, "the global queue", scheduler.damage);
    if (id == 0) return;
    scheduler.global_queue.push_back(id);
    const auto next = context.next_of.find(address);
    address = next == context.next_of.end() ? 0 : next->second;
  }
}

void walk_scheduler_record(WalkContext& context) {
  const auto* root = context.descriptor.root("scheduler");
  auto& scheduler = context.snapshot.scheduler;
  if (root->address == 0 || root->count == 0) return;
  const auto& fields = context.layout.scheduler;
  std::vector<std::byte> bytes(fields.record_size);
  if (auto done = context.target.memory().read(root->address, bytes); !done) {
    scheduler.damage.push_back(done.error());
    return;
  }
  const Record record(bytes);
#define STACKTIDE_VALUE(type, name, kind)                          \
  if (fields.name && STACKTIDE_KIND_##kind != STACKTIDE_KIND_ENUM) \
    scheduler.values.emplace(#name, record.number(fields.name));
  STACKTIDE_FIELDS_scheduler(STACKTIDE_VALUE)
#undef STACKTIDE_VALUE
      if (fields.policy) {
    scheduler.policy = enum_text(enum_texts(context.descriptor, "scheduler", "policy"), record.signed_number(fields.policy));
  }
  walk_global_queue(context, record.number(fields.global_head));
}

}  // namespace

void walk_machines(WalkContext& context) {
  const auto* root = context.descriptor.root("ms");
  if (root->address == 0) return;
  const auto& fields = context.layout.m;
  const auto* statuses = enum_texts(context.descriptor, "m", "status");
  const auto count = capped(context, "Ms", root->count);
  const auto result =
      for_each_record(context.target.memory(), root->address, count, root->stride, fields.record_size, false,
                      [&](std::uint64_t index, std::span<const std::byte> bytes, std::span<const std::byte>) {
                        const Record record(bytes);
                        Machine m;
                        m.address = root->address + index * root->stride;
                        m.id = record.number(fields.id);
                        m.tid = record.number(fields.tid);
                        m.status = enum_text(statuses, record.signed_number(fields.status));
                        m.stack_lo = record.number(fields.stack_lo);
                        m.stack_hi = record.number(fields.stack_hi);
                        m.guard_size = record.number(fields.guard_size);
                        if (const auto thread = context.threads.find(m.tid); thread != context.threads.end()) {
                          m.sp = thread->second.get(Register::rsp).value_or(0);
                        } else if (m.tid != 0 && !context.threads.empty()) {
                          m.damage.push_back({ErrorCode::damaged_data, m.address,
                                              fmt::format("M {}: its thread {} is not there", m.id, m.tid)});
                        }
                        const auto held = context.snapshot.ms.size();
                        context.machine_at.emplace(m.address, held);
                        if (const auto g = record.number(fields.goroutine); g != 0) {
                          context.machine_of.emplace(g, held);
                          context.machine_goroutine.emplace(held, g);
                        }
                        if (const auto p = record.number(fields.p); p != 0) context.machine_processor.emplace(held, p);
                        context.snapshot.ms.push_back(std::move(m));
                      });
  context.snapshot.m_counts = {count, result.read, result.absent};
  context.note_absent("Ms", result.absent, count, result.first_absent);
}

void walk_scheduler(WalkContext& context) {
  for (const auto& [index, address] : context.machine_goroutine) {
    auto& m = context.snapshot.ms[index];
    m.goroutine = goroutine_id(context, address, fmt::format("M {}", m.id), m.damage);
  }
  const auto* root = context.descriptor.root("ps");
  if (root->address != 0) {
    const auto count = capped(context, "Ps", root->count);
    ProcessorWalk walk(context);
    const auto result =
        for_each_record(context.target.memory(), root->address, count, root->stride, context.layout.p.record_size, false,
                        [&](std::uint64_t index, std::span<const std::byte> bytes, std::span<const std::byte>) {
                          walk.add(root->address + index * root->stride, Record(bytes));
                        });
    context.snapshot.p_counts = {count, result.read, result.absent};
    context.note_absent("Ps", result.absent, count, result.first_absent);
  }
  for (const auto& [index, address] : context.machine_processor) {
    if (const auto p = context.processor_at.find(address); p != context.processor_at.end())
      context.snapshot.ms[index].p = p->second;
  }
  walk_scheduler_record(context);
}

}  // namespace stacktide

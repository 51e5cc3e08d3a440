// Goroutine records: slabs in bulk, each record turned into plain values and checked against itself.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "walk/bulk.h"
#include "walk/parts.h"

namespace stacktide {
namespace {

// How often a record that changes while it is read is tried again, on a process that was not stopped.
constexpr int kRereads = 16;

class GoroutineWalk {
 public:
  explicit GoroutineWalk(WalkContext& context)
      : context_(context),
        fields_(context.layout.goroutine),
        statuses_(enum_texts(context.descriptor, "goroutine", "status")),
        wait_reasons_(enum_texts(context.descriptor, "goroutine", "wait_reason")),
        stack_guard_(context.constant("stack_guard", -1)),
        preempt_(context.constant("guard_preempt", -1314)),
        force_move_(context.constant("guard_force_move", -275)),
        system_flag_(context.constant("flag_system", 0)),
        locked_flag_(context.constant("flag_locked", 0)) {}

  void slab(Address address, std::uint64_t used) {
    auto& counts = context_.snapshot.goroutine_counts;
    const auto room = kMaxGoroutines - std::min(kMaxGoroutines, seen_);
    if (used > room) {
      counts.total += used - room;
      counts.skipped += used - room;
      context_.snapshot.damage.push_back(
          fmt::format("a slab of {} records at {:#x}: only {} are looked at", used, address, room));
      used = room;
    }
    seen_ += used;
    const auto size = fields_.record_size;
    const bool running_target = context_.target.kind() == TargetKind::process;
    const auto result =
        for_each_record(context_.target.memory(), address, used, size, size, running_target,
                        [&](std::uint64_t index, std::span<const std::byte> bytes, std::span<const std::byte> again) {
                          record(address + index * size, bytes, again);
                        });
    counts.total += result.absent;
    counts.skipped += result.absent;
    context_.note_absent("goroutine records", result.absent, used, result.first_absent);
  }

  void one(Address address, std::span<const std::byte> bytes) { record(address, bytes, bytes); }

  // Ids are the key of everything that follows.
  void finish() {
    auto& goroutines = context_.snapshot.goroutines;
    std::ranges::stable_sort(goroutines, {}, &Goroutine::id);
    for (std::size_t i = 1; i < goroutines.size(); ++i) {
      if (goroutines[i].id != goroutines[i - 1].id) continue;
      goroutines[i].damage.push_back(
          {ErrorCode::damaged_data, goroutines[i].address,
           fmt::format("the id {} belongs to the record at {:#x} too", goroutines[i].id, goroutines[i - 1].address)});
    }
  }

 private:
  // Settles on one reading of a record: both readings equal and its sequence even, or what the last try gave.
  void record(Address address, std::span<const std::byte> first, std::span<const std::byte> second) {
    const auto settled = [&](std::span<const std::byte> a, std::span<const std::byte> b) {
      const auto sequence = Record(a).number(fields_.sequence);
      return sequence % 2 == 0 && sequence == Record(b).number(fields_.sequence);
    };
    bool steady = settled(first, second);
    if (steady || context_.target.kind() != TargetKind::process) return goroutine(address, Record(first), steady);
    std::vector<std::byte> one(first.begin(), first.end());
    std::vector<std::byte> two(second.begin(), second.end());
    for (int i = 0; i < kRereads && !steady; ++i) {
      if (!context_.target.memory().read(address, one) || !context_.target.memory().read(address, two)) break;
      steady = settled(one, two);
    }
    goroutine(address, Record(one), steady);
  }

  void goroutine(Address address, const Record& record, bool steady) {
    const auto id = record.number(fields_.id);
    if (id == 0) return;
    Goroutine g;
    g.id = id;
    g.address = address;
    if (!steady) damaged(g, "changing while it is read");
    const auto status = record.signed_number(fields_.status);
    g.status = enum_text(statuses_, status);
    if (statuses_ != nullptr && !statuses_->contains(status)) damaged(g, fmt::format("its status {} has no name", status));
    if (g.status == "waiting" || g.status == "syscall") waiting(g, record);
    g.label = record.text(fields_.label);
    g.system = (record.number(fields_.flags) & static_cast<std::uint64_t>(system_flag_)) != 0;
    g.locked = (record.number(fields_.flags) & static_cast<std::uint64_t>(locked_flag_)) != 0;
    g.parent = record.number(fields_.parent);
    g.creation_pc = record.number(fields_.creation_pc);
    g.entry_pc = record.number(fields_.entry_pc);
    g.grows = known(record, fields_.grows);
    g.links = known(record, fields_.links);
    g.shrinks = known(record, fields_.shrinks);
    g.hot_splits = known(record, fields_.hot_splits);
    g.bytes_copied = known(record, fields_.bytes_copied);
    const bool on_thread = g.status == "running" || g.status == "syscall";
    machine(g, record, on_thread);
    if (!on_thread && context_.layout.saved_context) saved_registers(g, record);
    stack(g, record, on_thread);

    context_.id_at.emplace(address, id);
    if (const auto next = record.number(fields_.next); next != 0) context_.next_of.emplace(address, next);
    auto& counts = context_.snapshot.goroutine_counts;
    ++counts.total;
    ++counts.read;
    context_.snapshot.goroutines.push_back(std::move(g));
  }

  static std::optional<std::uint64_t> known(const Record& record, const FieldRef& field) {
    return field ? std::optional(record.number(field)) : std::nullopt;
  }

  static void damaged(Goroutine& g, std::string what, Address address = 0) {
    if (g.damage.size() >= kMaxDamage) return;
    g.damage.push_back(
        {ErrorCode::damaged_data, address == 0 ? g.address : address, fmt::format("goroutine {}: {}", g.id, what)});
  }

  // What a library call waits for has no text here: it is the name of a function.
  void waiting(Goroutine& g, const Record& record) const {
    if (g.status == "waiting" && fields_.wait_reason)
      g.wait_reason = enum_text(wait_reasons_, record.signed_number(fields_.wait_reason));
    g.wait_object = record.number(fields_.wait_object);
    const auto since = record.signed_number(fields_.wait_since);
    if (since > 0 && context_.snapshot.now) g.wait_ns = std::max<std::int64_t>(0, *context_.snapshot.now - since);
  }

  // A runtime without Ms: the thread whose stack pointer lies on the goroutine's stack.
  void thread_by_stack(Goroutine& g, const Record& record) const {
    const auto lo = record.number(fields_.stack_lo), hi = record.number(fields_.stack_hi);
    for (const auto& [tid, registers] : context_.threads) {
      const auto sp = registers.get(Register::rsp);
      if (!sp || *sp < lo || *sp > hi) continue;
      g.tid = tid;
      g.registers = registers;
      g.registers_live = true;
      return;
    }
  }

  // The M, and, for a goroutine that is on a thread, the thread's registers.
  void machine(Goroutine& g, const Record& record, bool on_thread) {
    if (!context_.layout.scheduler_on) {
      if (on_thread) thread_by_stack(g, record);
      return;
    }
    const auto address = record.number(fields_.m);
    const auto* index = &context_.machine_at;
    auto found = index->find(address);
    if (address == 0 || found == index->end()) {
      if (!on_thread) return;
      if (address != 0) damaged(g, fmt::format("its M at {:#x} is none of the Ms", address));
      found = context_.machine_of.find(g.address);
      if (found == context_.machine_of.end()) return;
    }
    const auto& m = context_.snapshot.ms[found->second];
    g.m = m.id;
    g.has_m = true;
    if (!on_thread) return;
    g.tid = m.tid;
    const auto thread = context_.threads.find(m.tid);
    if (thread == context_.threads.end()) {
      if (!context_.threads.empty()) damaged(g, fmt::format("its thread {} is not there", m.tid), m.address);
      return;
    }
    g.registers = thread->second;
    g.registers_live = true;
  }

  void saved_registers(Goroutine& g, const Record& record) const {
    const auto pc = record.number(fields_.pc);
    const auto sp = record.number(fields_.sp);
    if (pc == 0 || sp == 0) return;
    g.registers.set(Register::rip, pc);
    g.registers.set(Register::rsp, sp);
    g.caller_pc = record.number(fields_.caller_pc);
    const auto& saved = context_.layout.saved;
    for (const auto& [reg, field] : {std::pair(Register::rbp, &fields_.bp), std::pair(Register::rbx, &saved.rbx),
                                     std::pair(Register::r12, &saved.r12), std::pair(Register::r13, &saved.r13),
                                     std::pair(Register::r14, &saved.r14), std::pair(Register::r15, &saved.r15)}) {
      if (*field) g.registers.set(reg, record.number(*field));
    }
  }

  void stack(Goroutine& g, const Record& record, bool on_thread) {
    auto& s = g.stack;
    s.lo = record.number(fields_.stack_lo);
    s.hi = record.number(fields_.stack_hi);
    s.guard = record.number(fields_.stackguard);
    s.guard_slot = record.number(fields_.stackguard0);
    s.guard_state = guard_state(s);
    // The slot tells the guard unless it holds a request.
    if (!fields_.stackguard && s.guard_state == GuardState::armed) s.guard = s.guard_slot;
    s.high_water = known(record, fields_.high_water);
    s.pinned_pc = record.number(fields_.pinned_pc);
    s.moving_from = record.number(fields_.moving_from);
    s.moving_to = record.number(fields_.moving_to);
    if (s.lo == 0 && s.hi == 0) return;  // dead, or not started: no stack yet
    if (s.lo >= s.hi) {
      damaged(g, fmt::format("its stack [{:#x}, {:#x}) is empty", s.lo, s.hi));
      return;
    }
    if (fields_.stackguard && stack_guard_ >= 0 && s.guard != s.lo + static_cast<std::uint64_t>(stack_guard_)) {
      damaged(g, fmt::format("its guard {:#x} is not {} bytes above lo {:#x}", s.guard, stack_guard_, s.lo));
    }
    stack_pointer(g, record.number(fields_.sp), on_thread);
    s.segments.push_back({s.lo, s.hi, s.sp, 0});
    if (context_.layout.segments) older_segments(g, record.number(fields_.segments));
    measure(s);
  }

  // Of a goroutine on a thread: the thread's when that is on the stack, else where the goroutine left its stack for a
  // library call.
  void stack_pointer(Goroutine& g, Address saved, bool on_thread) {
    auto& s = g.stack;
    const auto inside = [&](Address sp) { return sp >= s.lo && sp <= s.hi; };
    if (on_thread) {
      const auto live = g.registers.get(Register::rsp);
      if (live && inside(*live)) {
        s.sp = *live;
      } else if (saved != 0 && inside(saved)) {
        s.sp = saved;
      }
      return;  // else unknown: unwinding finds it
    }
    if (saved == 0) return;
    if (inside(saved)) {
      s.sp = saved;
    } else {
      damaged(g, fmt::format("its sp {:#x} is outside its stack [{:#x}, {:#x})", saved, s.lo, s.hi));
    }
  }

  GuardState guard_state(const Stack& s) const {
    if (!fields_.stackguard0) return GuardState::unknown;
    if (s.guard_slot == 0) return GuardState::none;
    if (s.guard_slot == s.guard) return GuardState::armed;
    if (s.guard_slot == static_cast<std::uint64_t>(preempt_)) return GuardState::preempt;
    if (s.guard_slot == static_cast<std::uint64_t>(force_move_)) return GuardState::force_move;
    return fields_.stackguard ? GuardState::corrupt : GuardState::armed;
  }

  void older_segments(Goroutine& g, Address address) {
    const auto& fields = context_.layout.segment;
    std::unordered_set<Address> visited;
    std::vector<std::byte> bytes(fields.record_size);
    while (address != 0) {
      if (!visited.insert(address).second) return damaged(g, "its segments form a cycle", address);
      if (visited.size() > kMaxChain) return damaged(g, fmt::format("it has more than {} segments", kMaxChain), address);
      if (auto done = context_.target.memory().read(address, bytes); !done) {
        g.damage.push_back({done.error().code, done.error().address, fmt::format("goroutine {}: an older segment", g.id)});
        return;
      }
      const Record record(bytes);
      const Segment segment{record.number(fields.lo), record.number(fields.hi), record.number(fields.sp),
                            record.number(fields.pc)};
      if (segment.lo >= segment.hi)
        return damaged(g, fmt::format("a segment [{:#x}, {:#x}) is empty", segment.lo, segment.hi), address);
      if (segment.sp != 0 && (segment.sp < segment.lo || segment.sp > segment.hi)) {
        damaged(g, fmt::format("a segment's sp {:#x} is outside [{:#x}, {:#x})", segment.sp, segment.lo, segment.hi),
                address);
      }
      g.stack.segments.push_back(segment);
      address = record.number(fields.previous);
    }
  }

  WalkContext& context_;
  const goroutine_fields& fields_;
  const EnumTexts* statuses_;
  const EnumTexts* wait_reasons_;
  std::int64_t stack_guard_;
  std::int64_t preempt_;
  std::int64_t force_move_;
  std::int64_t system_flag_;
  std::int64_t locked_flag_;
  std::uint64_t seen_ = 0;      // records looked at
  std::uint64_t segments_ = 0;  // older segments, over all goroutines
};

}  // namespace

void measure(Stack& stack) {
  stack.size = 0;
  stack.used = 0;
  for (const auto& segment : stack.segments) {
    stack.size += segment.size();
    stack.used += segment.used();
  }
  stack.headroom.reset();
  if (stack.sp != 0 && stack.guard != 0) stack.headroom = static_cast<std::int64_t>(stack.sp - stack.guard);
  if (stack.high_water) stack.high_water = std::max(*stack.high_water, stack.used);
}

Result<void> walk_goroutine(WalkContext& context, Address address) {
  std::vector<std::byte> bytes(context.layout.goroutine.record_size);
  STACKTIDE_TRY(context.target.memory().read(address, bytes));
  GoroutineWalk(context).one(address, bytes);
  return {};
}

void walk_goroutines(WalkContext& context) {
  const auto* root = context.descriptor.root("goroutine_slabs");
  if (root->address == 0) return;
  const auto& fields = context.layout.slab;
  auto slabs = root->count;
  if (slabs > kMaxSlabs) {
    context.snapshot.damage.push_back(fmt::format("{} goroutine slabs: only {} are looked at", slabs, kMaxSlabs));
    slabs = kMaxSlabs;
  }
  GoroutineWalk walk(context);
  std::unordered_set<Address> visited;
  const auto result = for_each_record(
      context.target.memory(), root->address, slabs, root->stride, fields.record_size, false,
      [&](std::uint64_t index, std::span<const std::byte> bytes, std::span<const std::byte>) {
        const Record record(bytes);
        const auto address = record.number(fields.address);
        auto used = record.number(fields.used);
        if (address == 0 || used == 0) return;
        if (!visited.insert(address).second) {
          context.snapshot.damage.push_back(fmt::format("slab {} is at {:#x}, as another one", index, address));
          return;
        }
        if (const auto capacity = record.number(fields.capacity); fields.capacity && used > capacity) {
          context.snapshot.damage.push_back(fmt::format("slab {} uses {} of {} records", index, used, capacity));
          used = capacity;
        }
        walk.slab(address, used);
      });
  context.note_absent("goroutine slabs", result.absent, slabs, result.first_absent);
  walk.finish();
}

}  // namespace stacktide

#include "analyze/address_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "analyze/frames.h"

namespace stacktide {
namespace {

std::string thread_text(const OsThread& thread) {
  auto text = fmt::format("thread {}", thread.tid);
  if (thread.m) return fmt::format("M {}, {}", *thread.m, text);
  return thread.name.empty() ? text : fmt::format("{} ({})", text, thread.name);
}

class Rows {
 public:
  Rows(const Snapshot& snapshot, const std::vector<Region>& regions, const std::vector<Module>& modules,
       const std::vector<NamedAddress>& roots)
      : snapshot_(snapshot),
        regions_(regions),
        modules_(modules),
        roots_(roots),
        arena_lo_(value("arena_lo")),
        arena_hi_(value("arena_hi")) {
    for (const auto& g : snapshot.goroutines) records_.insert(g.address / kPage);
    for (const auto& thread : snapshot.threads) {
      if (thread.stack_lo < thread.stack_hi) stacks_.emplace(thread.stack_lo, &thread);
    }
  }

  std::vector<AddressRow> make() {
    for (const auto& region : regions_) add(region);
    return std::move(rows_);
  }

 private:
  static constexpr Address kPage = 4096;

  std::uint64_t value(const char* name) const {
    const auto found = snapshot_.scheduler.values.find(name);
    return found == snapshot_.scheduler.values.end() ? 0 : found->second;
  }

  // A stack that the system merged with its neighbours is a row of its own.
  void add(const Region& region) {
    if (in_arena(region)) return add_arena(region);
    Address at = region.start;
    // A guard may be merged with other memory that nobody may touch.
    if (const auto above = stacks_.find(region.end); above != stacks_.end() && region.may_be_guard()) {
      const auto guard = std::min(above->second->guard_size, region.size());
      if (guard < region.size()) add_plain(region, at, region.end - guard);
      if (guard != 0) rows_.push_back({region.end - guard, region.end, "guard", thread_text(*above->second), {}});
      return;
    }
    for (auto stack = stacks_.lower_bound(region.start); stack != stacks_.end() && stack->first < region.end; ++stack) {
      const auto& thread = *stack->second;
      if (!region.writable || thread.stack_hi > region.end || thread.stack_lo < at) continue;
      if (at < thread.stack_lo) add_plain(region, at, thread.stack_lo);
      rows_.push_back({thread.stack_lo, thread.stack_hi, "thread stack", thread_text(thread), thread.used()});
      at = thread.stack_hi;
    }
    if (at < region.end) add_plain(region, at, region.end);
  }

  bool in_arena(const Region& region) const { return region.start >= arena_lo_ && region.start < arena_hi_; }

  void add_arena(const Region& region) {
    const auto used = region.writable ? region.size() : 0;
    if (!rows_.empty() && rows_.back().kind == "arena" && rows_.back().end == region.start) {
      rows_.back().end = region.end;
      *rows_.back().used += used;
    } else {
      rows_.push_back({region.start, region.end, "arena", "stacks of goroutines", used});
    }
  }

  void add_plain(const Region& region, Address start, Address end) {
    auto [kind, detail] = meaning(region, start, end);
    if (!rows_.empty() && rows_.back().end == start && rows_.back().kind == kind && rows_.back().detail == detail) {
      rows_.back().end = end;
      return;
    }
    rows_.push_back({start, end, std::move(kind), std::move(detail), {}});
  }

  struct Meaning {
    std::string kind;
    std::string detail;
  };

  Meaning meaning(const Region& region, Address start, Address end) const {
    const std::string name(base_name(region.name));
    if (region.name == "[heap]") return {"heap", ""};
    if (region.name == "[stack]") return {"thread stack", "the main thread's"};
    if (region.name.starts_with('[')) return {"kernel", region.name};
    const auto* module = module_of(region);
    if (module != nullptr && module == &modules_.front()) {
      if (region.absent) return {"text", name + " and read-only data, not in the core"};
      return {region.executable ? "text" : "data", name};
    }
    if (!region.name.empty()) return {module != nullptr ? "library" : "file", name};
    const auto record = records_.lower_bound(start / kPage);
    if (record != records_.end() && *record * kPage < end) return {"records", "of goroutines"};
    if (is_thread_heap(region)) return {"heap", "of threads, by its place"};
    if (!region.readable && !region.writable && !region.executable) {
      const bool of_arena = !rows_.empty() && rows_.back().kind == "arena" && rows_.back().end == start;
      return {"reserved", of_arena ? "for more stacks" : ""};
    }
    // What follows a file's data without a gap is its zeroed data.
    if (!rows_.empty() && rows_.back().end == start && (rows_.back().kind == "data" || rows_.back().kind == "library"))
      return {rows_.back().kind, rows_.back().detail};
    if (is_heap_by_place(start)) return {"heap", "by its place"};
    if (auto tables = tables_between(start, end); !tables.empty()) return {"runtime", std::move(tables)};
    return {"anonymous", ""};
  }

  // By address: hosts name a library by any of its links.
  const Module* module_of(const Region& region) const {
    if (region.name.empty()) return nullptr;
    const auto found = std::ranges::find_if(
        modules_, [&](const Module& module) { return region.start >= module.start && region.start < module.end; });
    return found == modules_.end() ? nullptr : &*found;
  }

  // "event rings, spans": the runtime's roots that lie there.
  std::string tables_between(Address start, Address end) const {
    std::string text;
    for (const auto& root : roots_) {
      if (root.address < start || root.address >= end) continue;
      text += (text.empty() ? "" : ", ") + root.name;
    }
    std::ranges::replace(text, '_', ' ');
    return text;
  }

  // glibc's malloc takes memory for other threads than the main one in pieces of 64 MiB, aligned so, and makes them
  // accessible as needed.
  bool is_thread_heap(const Region& region) const {
    constexpr Address kHeap = Address{64} << 20;
    if (region.start % kHeap != 0)
      return !rows_.empty() && rows_.back().detail.starts_with("of threads") && rows_.back().end == region.start &&
             region.end % kHeap == 0;
    if (region.end % kHeap == 0) return region.writable;
    const auto next = std::ranges::find(regions_, region.end, &Region::start);
    return region.writable && next != regions_.end() && next->may_be_guard() && next->end % kHeap == 0;
  }

  // Where no mapping is named "[heap]": the first anonymous memory after the program's own.
  bool is_heap_by_place(Address start) const {
    if (rows_.empty() || std::ranges::any_of(regions_, [](const Region& r) { return r.name == "[heap]"; })) return false;
    constexpr Address kFurthest = Address{1} << 30;  // the kernel puts it within so many bytes of the program
    return rows_.back().kind == "data" && start - rows_.back().end < kFurthest;
  }

  const Snapshot& snapshot_;
  const std::vector<Region>& regions_;
  const std::vector<Module>& modules_;
  const std::vector<NamedAddress>& roots_;
  Address arena_lo_;
  Address arena_hi_;
  std::set<Address> records_;                  // pages that hold the start of one
  std::map<Address, const OsThread*> stacks_;  // by lo
  std::vector<AddressRow> rows_;
};

const Region* region_of(const std::vector<Region>& regions, Address address) {
  const auto after = std::ranges::upper_bound(regions, address, {}, &Region::start);
  if (after == regions.begin() || address >= std::prev(after)->end) return nullptr;
  return &*std::prev(after);
}

}  // namespace

void find_thread_stacks(Snapshot& snapshot, const std::vector<Region>& regions) {
  for (auto& thread : snapshot.threads) {
    const auto m = std::ranges::find(snapshot.ms, thread.tid, &Machine::tid);
    if (m != snapshot.ms.end()) {
      thread.m = m->id;
      if (thread.sp == 0) thread.sp = m->sp;
      thread.stack_lo = m->stack_lo;
      thread.stack_hi = m->stack_hi;
      thread.guard_size = m->guard_size;
      if (thread.stack_lo < thread.stack_hi) continue;
    }
    const auto* region = region_of(regions, thread.sp);
    if (region == nullptr || !region->writable) continue;
    // Not of a thread that stands on a goroutine's stack.
    const auto arena = [&](const char* name) {
      const auto found = snapshot.scheduler.values.find(name);
      return found == snapshot.scheduler.values.end() ? 0 : found->second;
    };
    if (thread.sp >= arena("arena_lo") && thread.sp < arena("arena_hi")) continue;
    thread.stack_lo = region->start;
    thread.stack_hi = region->end;
    const auto* below = region->start == 0 ? nullptr : region_of(regions, region->start - 1);
    thread.guard_size = below != nullptr && below->may_be_guard() ? below->size() : 0;
  }
}

AddressSpace address_space(const Snapshot& snapshot, const std::vector<Region>& regions, const std::vector<Module>& modules,
                           const std::vector<NamedAddress>& roots) {
  return {Rows(snapshot, regions, modules, roots).make(), regions.size()};
}

}  // namespace stacktide

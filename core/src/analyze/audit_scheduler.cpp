#include "analyze/audit_scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "analyze/event_text.h"
#include "analyze/frames.h"

namespace stacktide {
namespace {

// Go's words for what ends never.
constexpr std::array<std::string_view, 3> kForever = {"chan receive (nil chan)", "chan send (nil chan)",
                                                      "select (no cases)"};

class SchedulerAudit {
 public:
  SchedulerAudit(const Snapshot& snapshot, Audit& audit) : snapshot_(snapshot), audit_(audit) {}

  void records() {
    damaged(snapshot_.scheduler.damage);
    for (const auto& p : snapshot_.ps) damaged(p.damage);
    for (const auto& m : snapshot_.ms) damaged(m.damage);
  }

  void queues() {
    const auto queued = [this](std::uint64_t id, const std::string& where) {
      if (id == 0) return;
      const auto [first, fresh] = queued_.emplace(id, where);
      if (!fresh) add(false, "queued_twice", id, fmt::format("it stands in {} and in {}", first->second, where));
    };
    for (const auto& p : snapshot_.ps) {
      queued(p.run_next, fmt::format("run_next of P {}", p.id));
      for (const auto id : p.run_queue) queued(id, fmt::format("the run queue of P {}", p.id));
    }
    for (const auto id : snapshot_.scheduler.global_queue) queued(id, "the global queue");
  }

  // As the runtime decides it: all wait, and neither a timer, a library call nor a file descriptor can wake one.
  void deadlock() {
    const auto waits = [](const Goroutine& g) { return g.system || g.status == "waiting" || g.status == "dead"; };
    const auto is = [](const Goroutine& g) { return !g.system && g.status == "waiting"; };
    const auto waiting = std::ranges::count_if(snapshot_.goroutines, is);
    if (waiting == 0 || !std::ranges::all_of(snapshot_.goroutines, waits)) return;
    for (const auto* name : {"timers", "blocking"}) {
      const auto found = snapshot_.scheduler.values.find(name);
      if (found == snapshot_.scheduler.values.end() || found->second != 0) return;
    }
    if (std::ranges::any_of(snapshot_.goroutines, [](const Goroutine& g) { return !g.system && waits_for_descriptor(g); }))
      return;
    add(false, "deadlock", 0,
        fmt::format("{}, and nothing is left that could wake one: deadlock",
                    waiting == 1 ? "the only goroutine waits" : fmt::format("all {} goroutines wait", waiting)));
  }

  void endless_waits() {
    for (const auto& g : snapshot_.goroutines) {
      if (g.status == "waiting" && std::ranges::find(kForever, g.wait_reason) != kForever.end())
        add(true, "waits_forever", g.id, fmt::format("{} ends never, {}", g.wait_reason, place(g)));
    }
  }

  void leaks(const LeakRule& rule) {
    using Key = std::tuple<std::string, std::string, std::uint32_t, std::string>;
    struct Group {
      const Goroutine* first = nullptr;
      std::uint64_t count = 0;
      std::int64_t shortest = 0;  // wait
    };
    std::map<Key, Group> groups;
    for (const auto& g : snapshot_.goroutines) {
      // An idle connection is as it should be: whoever is at its other end may speak at any time.
      if (waits_for_descriptor(g)) continue;
      if (g.system || g.status != "waiting" || g.function.empty() || !g.wait_ns || *g.wait_ns < rule.wait.count()) continue;
      auto& group = groups[{g.function, g.file, g.line, g.wait_reason}];
      if (group.count++ == 0) {
        group.first = &g;
        group.shortest = *g.wait_ns;
      }
      group.shortest = std::min(group.shortest, *g.wait_ns);
    }
    for (const auto& [key, group] : groups) {
      if (group.count < rule.count) continue;
      add(true, "leak_suspects", 0,
          fmt::format("{} goroutines have waited {} s or longer {} [{}], the first is {}: have they leaked?", group.count,
                      group.shortest / 1'000'000'000, place(*group.first), group.first->wait_reason, group.first->id));
    }
  }

 private:
  static std::string place(const Goroutine& g) {
    return "in " + place_of(g.function, g.file, g.line, g.registers.get(Register::rip).value_or(0));
  }

  void damaged(const std::vector<Error>& errors) {
    for (const auto& error : errors) add(false, "damage", 0, describe(error));
  }

  void add(bool note, std::string kind, std::uint64_t goroutine, std::string text) {
    AuditEntry entry;
    entry.note = note;
    entry.kind = std::move(kind);
    entry.goroutine = goroutine;
    entry.text = std::move(text);
    audit_.entries.push_back(std::move(entry));
  }

  const Snapshot& snapshot_;
  Audit& audit_;
  std::map<std::uint64_t, std::string> queued_;  // goroutine id -> where it was first seen
};

}  // namespace

void audit_scheduler(const Snapshot& snapshot, bool complete, const LeakRule& rule, Audit& audit) {
  SchedulerAudit parts(snapshot, audit);
  parts.records();
  parts.queues();
  if (complete) parts.deadlock();
  parts.endless_waits();
  parts.leaks(rule);
}

}  // namespace stacktide

// sched: Ps with their run queues, Ms with their thread stacks, and the idle ones.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "analyze/frames.h"
#include "view/views.h"

namespace stacktide {
namespace {

constexpr std::size_t kQueueShown = 12;

std::string queue_text(const std::vector<std::uint64_t>& queue) {
  const auto shown = std::min(queue.size(), kQueueShown);
  auto text = fmt::format("{}", fmt::join(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(shown), " "));
  if (shown < queue.size()) text += fmt::format(" ... and {} more", grouped(queue.size() - shown));
  return text;
}

std::string id_or_none(std::optional<std::uint64_t> id) { return id ? fmt::format("{}", *id) : "-"; }
std::string goroutine_or_none(std::uint64_t id) { return id == 0 ? "-" : fmt::format("{}", id); }

std::string value_line(const Scheduler& scheduler, std::initializer_list<std::pair<const char*, const char*>> names) {
  std::string text;
  for (const auto& [name, label] : names) {
    const auto found = scheduler.values.find(name);
    if (found != scheduler.values.end())
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", label, grouped(found->second));
  }
  return text;
}

std::string skipped(const Counts& counts, std::string_view what) {
  return counts.skipped == 0 ? "" : fmt::format("{} of {} {} could not be read\n", counts.skipped, counts.total, what);
}

bool is_idle(const Processor& p) { return p.status == "idle"; }
// One whose goroutine waits for a P may be the one that watches.
bool is_idle(const Machine& m) { return m.status == "idle" || (m.status == "watching" && m.goroutine == 0); }

// "Ps 2: 0 1, Ms 1: 4": the runtime's counts, and who it is.
std::string idle_text(const Snapshot& snapshot) {
  const auto ids = [](const auto& all) {
    std::vector<std::uint64_t> idle;
    for (const auto& one : all) {
      if (is_idle(one)) idle.push_back(one.id);
    }
    return idle.empty() ? "" : ": " + queue_text(idle);
  };
  std::string text;
  const auto add = [&](const char* name, const char* label, const std::string& who) {
    const auto found = snapshot.scheduler.values.find(name);
    if (found == snapshot.scheduler.values.end()) return;
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", label, grouped(found->second), who);
  };
  add("idle_ps", "Ps", ids(snapshot.ps));
  add("idle_ms", "Ms", ids(snapshot.ms));
  add("spinning_ms", "spinning Ms", "");
  return text;
}

// "in calls without a P 0, timers 1, for descriptors 10,002 (M 2 is watching)": a goroutine with a deadline counts among the
// timers too.
std::string waiting_text(const Snapshot& snapshot) {
  auto text = value_line(snapshot.scheduler, {{"blocking", "in calls without a P"}, {"timers", "timers"}});
  const auto count = std::ranges::count_if(snapshot.goroutines, waits_for_descriptor);
  if (count == 0) return text;
  text += fmt::format("{}for descriptors {}", text.empty() ? "" : ", ", grouped(static_cast<std::uint64_t>(count)));
  const auto m = std::ranges::find(snapshot.ms, "watching", &Machine::status);
  return m == snapshot.ms.end() ? text : text + fmt::format(" (M {} is watching)", m->id);
}

std::string cpu_text(const OsThread& thread) { return thread.cpu ? fmt::format("{}", *thread.cpu) : "-"; }

std::string cpu_of(const Snapshot& snapshot, std::uint64_t tid) {
  const auto found = std::ranges::find(snapshot.threads, tid, &OsThread::tid);
  return found == snapshot.threads.end() ? "-" : cpu_text(*found);
}

// Those that run no goroutines: the monitor's, the program's own.
std::string other_threads(const Snapshot& snapshot, const Style& style) {
  Table table;
  table.column("other thread", Align::right);
  table.column("name", Align::left);
  table.column("stack", Align::left);
  for (const auto* header : {"size", "used", "guard", "CPU"}) table.column(header, Align::right);
  bool any = false;
  for (const auto& thread : snapshot.threads) {
    if (std::ranges::any_of(snapshot.ms, [&](const Machine& m) { return m.tid == thread.tid; })) continue;
    const bool known = thread.stack_lo < thread.stack_hi;
    table.row({fmt::format("{}", thread.tid), thread.name,
               known ? fmt::format("{} - {}", hex(thread.stack_lo), hex(thread.stack_hi)) : "?",
               known ? fmt::format("{}", thread.stack_hi - thread.stack_lo) : "?",
               thread.used() ? fmt::format("{}", *thread.used()) : "-", known ? fmt::format("{}", thread.guard_size) : "?",
               cpu_text(thread)});
    any = true;
  }
  return any ? table.render(style) + "\n" : "";
}

}  // namespace

std::string scheduler_text(const Snapshot& snapshot, const Style& style) {
  Table ps;
  ps.column("P", Align::right);
  ps.column("status", Align::left);
  for (const auto* header : {"M", "ticks", "run-next", "queued"}) ps.column(header, Align::right);
  ps.column("run queue", Align::left);
  for (const auto& p : snapshot.ps) {
    ps.row({fmt::format("{}", p.id), p.status, id_or_none(p.m), fmt::format("{}", p.ticks), goroutine_or_none(p.run_next),
            fmt::format("{}", p.run_queue.size()), queue_text(p.run_queue)});
  }
  Table ms;
  ms.column("M", Align::right);
  ms.column("thread", Align::right);
  ms.column("status", Align::left);
  for (const auto* header : {"goroutine", "P"}) ms.column(header, Align::right);
  ms.column("in call", Align::left);
  ms.column("system stack", Align::left);
  for (const auto* header : {"size", "used", "guard", "CPU"}) ms.column(header, Align::right);
  for (const auto& m : snapshot.ms) {
    const bool known = m.stack_hi > m.stack_lo;
    const bool inside = known && m.sp >= m.stack_lo && m.sp <= m.stack_hi;
    ms.row({fmt::format("{}", m.id), fmt::format("{}", m.tid), m.status, goroutine_or_none(m.goroutine), id_or_none(m.p),
            m.call, known ? fmt::format("{} - {}", hex(m.stack_lo), hex(m.stack_hi)) : "?",
            known ? fmt::format("{}", m.stack_hi - m.stack_lo) : "?", inside ? fmt::format("{}", m.stack_hi - m.sp) : "-",
            fmt::format("{}", m.guard_size), cpu_of(snapshot, m.tid)});
  }
  auto out = ps.render(style) + skipped(snapshot.p_counts, "Ps") + "\n" + ms.render(style) +
             skipped(snapshot.m_counts, "Ms") + "\n" + other_threads(snapshot, style);
  const auto& scheduler = snapshot.scheduler;
  Table facts;
  facts.column("", Align::left);
  facts.column("", Align::left);
  facts.row({"global queue", scheduler.global_queue.empty() ? "empty"
                                                            : fmt::format("{}: {}", grouped(scheduler.global_queue.size()),
                                                                          queue_text(scheduler.global_queue))});
  facts.row({"idle", idle_text(snapshot)});
  facts.row({"waiting", waiting_text(snapshot)});
  facts.row({"goroutines", value_line(scheduler, {{"live", "live"}, {"created", "created"}})});
  facts.row({"stacks", fmt::format("policy {}, {}", scheduler.policy,
                                   value_line(scheduler, {{"stack_bytes", "bytes in use"},
                                                          {"min_stack", "start size"},
                                                          {"segment_size", "segment"},
                                                          {"max_stack", "maximum"}}))});
  return out + facts.render(style);
}

}  // namespace stacktide

#include "walk/walker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/printable.h"
#include "walk/parts.h"

namespace stacktide {
namespace {

// Damage lines per walk: a ruined target must not bury what is still readable.
constexpr std::size_t kMaxDamageLines = 64;

void describe_runtime(WalkContext& context) {
  auto& runtime = context.snapshot.runtime;
  const auto& descriptor = context.descriptor;
  runtime.descriptor = descriptor.address;
  runtime.abi_major = descriptor.abi_major;
  runtime.abi_minor = descriptor.abi_minor;
  runtime.constants.insert(descriptor.constants.begin(), descriptor.constants.end());
  runtime.contracts.insert(descriptor.contracts.begin(), descriptor.contracts.end());
  runtime.disabled = context.layout.disabled;
  for (const auto& type : descriptor.types) runtime.type_sizes.emplace(type.name, type.size);
  const auto* version = descriptor.root(STACKTIDE_ROOT_VERSION);
  if (version == nullptr || version->type != STACKTIDE_NO_TYPE || version->address == 0) return;
  constexpr std::uint64_t kLongestVersion = 256;
  if (auto text = context.target.memory().read_string(version->address, std::min(version->count, kLongestVersion))) {
    runtime.version = printable(*text);
  } else {
    context.snapshot.damage.push_back(fmt::format("runtime version: {}", describe(text.error())));
  }
}

void read_threads(WalkContext& context) {
  auto threads = context.target.threads();
  if (!threads) {
    context.snapshot.damage.push_back(describe(threads.error()));
    return;
  }
  for (const auto& thread : *threads) {
    context.threads.emplace(thread.tid, thread.registers);
    OsThread known;
    known.tid = thread.tid;
    known.name = printable(thread.name);
    known.sp = thread.registers.get(Register::rsp).value_or(0);
    context.snapshot.threads.push_back(std::move(known));
  }
  // Hosts have orders of their own.
  const auto pid = context.snapshot.pid;
  std::ranges::sort(context.snapshot.threads, {}, [pid](const OsThread& t) { return std::pair(t.tid != pid, t.tid); });
}

// Waiting times need one clock reading: the target's own, else the last one that the runtime took.
void read_clock(WalkContext& context) {
  auto& snapshot = context.snapshot;
  snapshot.now = context.target.now();
  const auto& fields = context.layout.scheduler;
  const auto* root = context.descriptor.root("scheduler");
  if (snapshot.now || !context.layout.scheduler_on || !fields.now || root->address == 0 || root->count == 0) return;
  std::vector<std::byte> bytes(fields.record_size);
  if (!context.target.memory().read(root->address, bytes)) return;  // walk_scheduler says so
  const auto now = Record(bytes).signed_number(fields.now);
  if (now > 0) snapshot.now = now;
}

}  // namespace

void WalkContext::note_absent(std::string_view what, std::uint64_t absent, std::uint64_t total, Address first) {
  if (absent == 0) return;
  snapshot.damage.push_back(fmt::format("{} of {} {} could not be read, the first at {:#x}", absent, total, what, first));
}

Snapshot walk(Target& target, const Descriptor& descriptor, const Layout& layout) {
  Snapshot snapshot;
  snapshot.target = target.description();
  snapshot.kind = target.kind();
  snapshot.pid = target.pid();
  snapshot.damage = target.damage();
  WalkContext context{target, descriptor, layout, snapshot, {}, {}, {}, {}, {}, {}, {}, {}};
  describe_runtime(context);
  read_threads(context);
  read_clock(context);
  if (layout.scheduler_on) walk_machines(context);
  if (layout.goroutines) walk_goroutines(context);
  if (layout.scheduler_on) walk_scheduler(context);
  if (layout.events) walk_events(context);
  if (layout.hot_splits) walk_hot_splits(context);
  if (layout.stack_maps_on) walk_stack_maps(context);
  if (snapshot.damage.size() > kMaxDamageLines) {
    const auto more = snapshot.damage.size() - kMaxDamageLines;
    snapshot.damage.resize(kMaxDamageLines);
    snapshot.damage.push_back(fmt::format("{} more lines of damage", more));
  }
  return snapshot;
}

}  // namespace stacktide

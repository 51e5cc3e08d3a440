// A core's goroutines in groups. Most goroutines stand where thousands of others do: they are told apart by their return
// addresses, and of those with equal ones only the first is symbolised.
#include <fmt/format.h>

#include <map>
#include <unordered_map>

#include "analyze/frames.h"
#include "command/moments.h"
#include "command/session_access.h"
#include "command/table.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxProblems = 20;

// What says without symbols that two goroutines of one core are in the same group.
struct RawKey {
  std::string state;
  Address entry = 0;
  std::vector<Address> pcs;
  bool operator==(const RawKey&) const = default;
};

struct RawHash {
  std::size_t operator()(const RawKey& key) const {
    constexpr std::uint64_t kPrime = 0x9e3779b97f4a7c15;
    std::uint64_t hash = std::hash<std::string>()(key.state) ^ key.entry;
    for (const auto pc : key.pcs) hash = (hash ^ pc) * kPrime;
    return hash;
  }
};

class CoreMoment {
 public:
  CoreMoment(Session& session, const MomentWish& wish) : session_(session), wish_(wish) {}

  Moment read(Snapshot& snapshot) {
    moment_.pid = snapshot.pid;
    moment_.problems = snapshot.damage;
    moment_.goroutines.reserve(snapshot.goroutines.size());
    for (auto& g : snapshot.goroutines) add(g);
    if (snapshot.goroutine_counts.skipped != 0)
      moment_.problems.push_back(fmt::format("{} of {} goroutine records could not be read",
                                             snapshot.goroutine_counts.skipped, snapshot.goroutine_counts.total));
    if (damaged_ > kMaxProblems) moment_.problems.push_back(fmt::format("and {} more", damaged_ - kMaxProblems));
    moment_.finish();
    return std::move(moment_);
  }

 private:
  void add(Goroutine& g) {
    if (wish_.located) session_.locate(g);
    if (!wish_.matcher.matches(g)) return;
    for (const auto& error : g.damage) {
      if (damaged_++ < kMaxProblems) moment_.problems.push_back(describe(error));
    }
    RawKey raw{state_of(g), g.entry_pc, {}};
    for (const auto& frame : SessionAccess::unwind(session_, g).frames) raw.pcs.push_back(frame.pc);
    const auto [known, fresh] = raw_.try_emplace(std::move(raw), 0);
    if (fresh) known->second = symbolised(g, known->first.state);
    auto& group = moment_.groups[known->second];
    ++group.count;
    group.stack_bytes += g.stack.size;
    moment_.goroutines.push_back({g.id, g.stack.size, known->second});
    add_creator(group, creator(g.creation_pc), 1);
  }

  // The group of the first goroutine with these addresses; other addresses may have the same names.
  std::uint32_t symbolised(Goroutine& g, const std::string& state) {
    session_.locate(g);
    MomentGroup group;
    group.state = state;
    group.place = {g.function, g.file, g.line};
    group.entry = g.entry;
    for (const auto& frame : session_.backtrace(g).frames) group.frames.push_back({name_of(frame), frame.file, frame.line});
    group.key = key_of(group, Grouping::stack);
    bool fresh = false;
    const auto number = groups_.find(group.key, fresh);
    if (fresh) moment_.groups[number] = std::move(group);
    return number;
  }

  std::string name_of(const Frame& frame) {
    if (!frame.function.empty()) return frame.function;
    for (const auto& module : session_.target().modules()) {
      if (frame.pc >= module.start && frame.pc < module.end)
        return fmt::format("{}+{:#x}", base_name(module.path), frame.pc - module.load_bias);
    }
    return "??";
  }

  const MomentPlace& creator(Address pc) {
    auto [found, fresh] = creators_.try_emplace(pc);
    if (fresh && pc != 0) {
      if (const auto* frame = innermost_user_frame(SessionAccess::symbolized(session_, pc)))
        found->second = {frame->function, frame->file, frame->line};
    }
    return found->second;
  }

  Session& session_;
  const MomentWish& wish_;
  Moment moment_;
  MomentGroups groups_{moment_};
  std::unordered_map<RawKey, std::uint32_t, RawHash> raw_;
  std::map<Address, MomentPlace> creators_;
  std::size_t damaged_ = 0;
};

}  // namespace

Result<Moment> read_core_moment(const MomentSource& source, const MomentWish& wish) {
  Session session(STACKTIDE_TRY(open_core(source.path, {source.executable})));
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (!SessionAccess::layout(session).goroutines) return std::unexpected(feature_off(snapshot, "the list of goroutines"));
  auto moment = CoreMoment(session, wish).read(snapshot);
  moment.source = source.path;
  moment.kind = MomentKind::core;
  moment.grouping = Grouping::stack;
  return moment;
}

}  // namespace stacktide

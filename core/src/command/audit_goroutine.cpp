// The audit of one goroutine: what its maps call a pointer, what only looks like one, its canaries, guard and frames.
#include <fmt/format.h>

#include <algorithm>

#include "command/audit.h"
#include "view/views.h"

namespace stacktide {
namespace {

class GoroutineAudit {
 public:
  GoroutineAudit(Session& session, const Snapshot& snapshot, PlaceFinder& finder, const Goroutine& goroutine, Audit& audit)
      : memory_(session.target().memory()), snapshot_(snapshot), finder_(finder), goroutine_(goroutine), audit_(audit) {}

  void run() {
    record_itself();
    canaries();
    if (goroutine_.stack.segments.empty()) return;
    if (!goroutine_.registers.get(Register::rip)) {
      ++audit_.skipped;
      return;
    }
    ++audit_.goroutines;
    // A copy: the finder may drop what it keeps while it looks at other goroutines.
    const auto stack = finder_.frames_of(goroutine_);
    if (!stack.complete)
      audit_.partial.push_back(fmt::format("goroutine {}: backtrace stopped: {}", goroutine_.id, stack.stop_reason));
    audit_.partial.insert(audit_.partial.end(), stack.problems.begin(), stack.problems.end());
    for (std::size_t i = 0; i < stack.frames.size(); ++i) frame(stack.frames, i);
    // One that runs may stand between two instructions of a prologue, or of a move.
    if (goroutine_.registers_live || goroutine_.stack.moving_to != 0) return;
    for (auto& entry : compare_walks(goroutine_, stack.frames, memory_)) audit_.entries.push_back(std::move(entry));
  }

 private:
  void record_itself() {
    for (const auto& error : goroutine_.damage) add_of_goroutine("damage", describe(error));
    if (goroutine_.stack.guard_state == GuardState::corrupt) {
      add_of_goroutine("guard", fmt::format("stackguard0 is {:#x}, neither its guard {:#x} nor a request",
                                            goroutine_.stack.guard_slot, goroutine_.stack.guard));
    }
  }

  void canaries() {
    const auto found = snapshot_.runtime.constants.find("canary");
    if (found == snapshot_.runtime.constants.end()) return;
    for (const auto& segment : goroutine_.stack.segments) {
      const auto word = memory_.read_value<std::uint64_t>(segment.lo);
      if (!word || *word == static_cast<std::uint64_t>(found->second)) continue;
      add_of_goroutine(
          "canary", fmt::format("the canary at {:#x} is overwritten with {:#x}: its stack overflowed", segment.lo, *word));
    }
  }

  void add_of_goroutine(std::string kind, std::string text) {
    AuditEntry entry;
    entry.kind = std::move(kind);
    entry.goroutine = goroutine_.id;
    entry.text = std::move(text);
    audit_.entries.push_back(std::move(entry));
  }

  void frame(const std::vector<MapFrame>& frames, std::size_t index) {
    const auto& frame = frames[index];
    if (!frame.at.segment) return;  // on its thread's stack
    ++audit_.frames;
    if (!frame.mapped()) {
      // The runtime's own frames and the place where it was interrupted have none, as a rule; the outermost is always the
      // runtime's, though a stripped program does not say so. A runtime without maps says by other means what it moves, if it
      // moves anything.
      const bool outermost = index + 1 == frames.size();
      if (snapshot_.stack_maps && !frame.at.runtime && !frame.at.exact_pc && !outermost)
        add(frame, "no_record", "its frame has no record: all of its words are scanned when the stack moves", true);
      return;
    }
    ++audit_.recorded;
    for (const auto& word : words_of(frame, memory_)) {
      ++audit_.words;
      if (!word.value || word.return_address) continue;
      if (word.saved) {
        // The pointers among them are looked at as registers of the frame that has them.
        const auto caller = register_meaning(frames, index + 1, *word.saved);
        if (caller.kind == WordKind::scalar) scalar(frame, word, fmt::format("saved {}", map_register_name(*word.saved)));
      } else if (word.kind == WordKind::scalar) {
        scalar(frame, word, variables_text(word));
      } else if (word.kind == WordKind::pointer) {
        const auto name = variables_text(word);
        pointer(frame, fmt::format("{} at CFA{:+}", name.empty() ? "a pointer" : name, word.offset), name, word.address,
                *word.value);
      }
    }
    for (unsigned dwarf = 0; dwarf < kRegisterCount; ++dwarf) {
      if (frame.site->registers[dwarf] != WordKind::pointer) continue;
      const auto value = frame.registers.get(static_cast<Register>(dwarf));
      if (!value) continue;
      const auto& variables = frame.site->variables;
      const auto holder = std::ranges::find_if(variables, [&](const MapVariable& one) { return one.reg == dwarf; });
      const auto name = holder == variables.end() ? std::string() : holder->name;
      pointer(frame, fmt::format("{} in {}", name.empty() ? "a pointer" : name, map_register_name(dwarf)), name, 0, *value);
    }
  }

  // For certain no pointer, but scanning would have taken it for one.
  void scalar(const MapFrame& frame, const MapWord& word, const std::string& name) {
    const auto spot = finder_.stacks().find(*word.value);
    if (!spot || spot->goroutine->id != goroutine_.id) return;
    auto& entry =
        add(frame, "lookalike",
            fmt::format("{} at CFA{:+} is {:#x}, which lies in its own stack: scanning alone would have changed it",
                        name.empty() ? "a scalar" : name, word.offset, *word.value),
            true);
    entry.variable = name;
    entry.address = word.address;
    entry.value = *word.value;
  }

  void pointer(const MapFrame& frame, const std::string& what, const std::string& name, Address address,
               std::uint64_t value) {
    auto place = finder_.stack_at(value);
    if (!place || (place->kind == PlaceKind::stack && place->goroutine == goroutine_.id)) return;
    finder_.complete(*place);
    const bool another = place->kind == PlaceKind::stack;
    // What pinned frames hold does not move, and may be pointed to.
    const bool stays = another && finder_.stays(*place);
    auto text = fmt::format("{} is {:#x}: {}", what, value, place_in_short(*place, goroutine_.id));
    if (stays) {
      text += finder_.why_it_stays();
    } else if (!name.empty()) {
      text += fmt::format(" (or `{}` was not set yet)", name);
    }
    auto& entry = add(frame, another ? "pointer_to_other_stack" : "pointer_to_freed_stack", std::move(text), stays);
    entry.variable = name;
    entry.address = address;
    entry.value = value;
    entry.place = std::move(*place);
  }

  AuditEntry& add(const MapFrame& frame, std::string kind, std::string text, bool note) {
    audit_.entries.push_back(frame_entry(goroutine_, frame, std::move(kind), std::move(text)));
    audit_.entries.back().note = note;
    return audit_.entries.back();
  }

  Memory& memory_;
  const Snapshot& snapshot_;
  PlaceFinder& finder_;
  const Goroutine& goroutine_;
  Audit& audit_;
};

}  // namespace

void audit_goroutine(Session& session, const Snapshot& snapshot, PlaceFinder& finder, const Goroutine& goroutine,
                     Audit& audit) {
  GoroutineAudit(session, snapshot, finder, goroutine, audit).run();
}

}  // namespace stacktide

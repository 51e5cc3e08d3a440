// What a live trace has seen, as a source that rules can be checked on.
//
// Concept. Stack events become the records that a trace file would have, and keep the names of their places, which are asked
// for while the process is there. A chain is the two addresses that an event has. A link is hot by the runtime's own rule:
// into a segment that was kept (its time is not measured), by the function that crossed the boundary last.
//
// Invariants. Event rings tell of growth and nothing else; what rules want besides is refused, with the reason. At most
// kKept records are kept; what comes later is counted, and said.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stacktide/core/snapshot.h"
#include "trace/trace_source.h"

namespace stacktide {

class LiveRecords : public TraceSource, private TraceNames {
 public:
  static constexpr std::size_t kKept = 1'000'000;

  // `frames` of an address: its levels. Asked once for each.
  using Frames = std::function<const std::vector<Frame>&(Address)>;
  void add(const StackEvent& event, const Frames& frames);
  void lose(std::uint64_t events) { facts_.lost += events; }
  bool empty() const { return records_.empty(); }

  const TraceFacts& facts() const override { return facts_; }
  void visit(const std::function<void(const stacktide_trace_head&)>& visitor) override;
  TraceNames& names() override { return *this; }
  std::string lacks(TracePart part) const override;
  // What is to be said besides the records; before they are checked. `filtered`: events that the trace's conditions left
  // out.
  void finish(std::uint64_t pid, std::uint64_t filtered);

 private:
  std::span<const std::uint64_t> chain(std::uint32_t number) override;
  const std::vector<TraceLevel>& levels(std::uint64_t pc, bool exact) override;
  std::string wait_reason(std::uint16_t) override { return ""; }
  std::uint32_t chain_of(const StackEvent& event, const Frames& frames);

  TraceFacts facts_;
  std::vector<stacktide_trace_stack> records_;
  std::uint64_t left_out_ = 0;
  std::map<std::pair<Address, Address>, std::uint32_t> chains_;
  std::vector<std::array<Address, 2>> pcs_;  // of chain n + 1: the event's place, and its caller's or 0
  std::unordered_map<Address, std::vector<TraceLevel>> levels_;
  std::unordered_map<std::uint64_t, Address> released_;  // by goroutine: the function that crossed a boundary last
};

}  // namespace stacktide

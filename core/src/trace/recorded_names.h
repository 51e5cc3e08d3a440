// Names of a Recording: from its symbol records, and where it has none from the files that its modules name.
//
// Invariants. A file is used only if its build-id is the recorded one; without that an address stays a number, and
// warnings() says of which file, once. What an address means is found once and kept.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "elf/image.h"
#include "symbols/symbolizer.h"
#include "trace/trace_names.h"

namespace stacktide {

class RecordedNames : public TraceNames {
 public:
  // The recording outlives its names.
  explicit RecordedNames(const Recording& recording);
  ~RecordedNames() override;
  std::span<const std::uint64_t> chain(std::uint32_t number) override { return recording_.chain(number); }
  const std::vector<TraceLevel>& levels(std::uint64_t pc, bool exact) override;
  // "reason 12" where the recording does not say.
  std::string wait_reason(std::uint16_t value) override;
  // Files that could not be used although an address lies in them, a line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  using Key = std::pair<std::uint64_t, bool>;
  void use_file_at(std::uint64_t address);
  std::vector<TraceLevel> find(std::uint64_t pc, bool exact);
  void add_lambda(std::uint64_t address, std::vector<TraceLevel>& levels);

  const Recording& recording_;
  std::vector<Module> modules_;
  std::set<std::uint64_t> checked_;  // starts of modules
  std::unique_ptr<Memory> memory_;
  ImageCache images_;
  std::unique_ptr<Symbolizer> symbolizer_;
  std::map<Key, std::vector<TraceLevel>> found_;
  std::vector<std::string> warnings_;
};

// Every address that a recording's names are asked for: those in chains, entry functions (exact), places of creation. In
// order, each once.
std::vector<std::pair<std::uint64_t, bool>> addresses_of(const Recording& recording);

}  // namespace stacktide

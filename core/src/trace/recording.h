// A trace file, opened for reading (runtime/abi/stacktide/trace_file.h is the format).
//
// Concept. open() goes over the whole file once, for what later records refer to: chains, names, modules, symbols; it counts
// the records and notes damage. visit() goes over it again, a chunk of each lane in memory at a time, and merges the lanes
// by time. So a file larger than memory is read in bounded memory, as often as a command needs.
//
// Invariants. Nothing of the file is trusted. What is damaged is skipped and said; what is whole is returned once. A record
// is given out only if it is as long as its kind wants.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stacktide/core/result.h"
#include "stacktide/core/target.h"
#include "stacktide/trace_file.h"

namespace stacktide {

struct RecordingInfo {
  std::string path;
  std::uint64_t size = 0;  // bytes of the file
  stacktide_trace_header header{};
  std::uint64_t records = 0;  // whole ones, of all kinds but symbols
  std::uint64_t chunks = 0;   // in use
  std::string command;        // "" unknown
  std::string end;            // how the program ended, by its own words; "": the trace has no end
  std::optional<int> status;  // as waitpid() gave it, when `stacktide record` waited for it
  std::int64_t first = 0;     // times of the first and the last record
  std::int64_t last = 0;
  std::vector<std::string> damage;  // a line each
};

// One record. `head` points to as many bytes as its kind wants.
struct TraceRecord {
  const stacktide_trace_head* head = nullptr;
  std::uint8_t kind() const { return head->kind; }
  template <class Record>
  const Record& as() const {
    return *reinterpret_cast<const Record*>(head);
  }
  // Of kinds that end in text.
  std::string_view text() const;
};

// A level of what lies at a code address, as symbol records or debug information have it.
struct TraceLevel {
  std::string function;  // readable; "" unknown
  std::string file;
  std::uint32_t line = 0;
  std::string module;
  std::string symbol;  // linkage name
};

class Recording {
 public:
  // Errors: io_error; usage for a file that is no trace, or of another major version.
  static Result<Recording> open(const std::string& path);
  Recording(Recording&&) noexcept;
  Recording& operator=(Recording&&) noexcept;
  ~Recording();

  const RecordingInfo& info() const;
  // Every record of kinds GROW to LABEL, in order of time; records of one lane in theirs.
  void visit(const std::function<void(const TraceRecord&)>& visitor) const;
  // The return addresses of a chain, innermost first; empty for 0 and for one that the file does not have.
  std::span<const std::uint64_t> chain(std::uint32_t number) const;
  // Text of a wait reason; "" unknown.
  const std::string& wait_reason(std::uint16_t value) const;
  const std::vector<Module>& modules() const;
  // By (pc, is_exact): what symbol records say.
  const std::map<std::pair<std::uint64_t, bool>, std::vector<TraceLevel>>& symbols() const;
  // Of all chains, in order.
  std::vector<std::uint32_t> chain_numbers() const;
  // The sequence that the next chunk of a lane has to have.
  std::uint32_t next_sequence(std::uint16_t lane) const;

 private:
  struct State;
  explicit Recording(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace stacktide

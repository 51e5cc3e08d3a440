// The records of one lane of a trace file, one after the other, through a small window.
//
// Invariants. No byte of the file is trusted: a record is checked each time it is read, for the file may have changed since
// it was opened. What does not fit ends its chunk; the next chunk goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stacktide/trace_file.h"

namespace stacktide {

// What was found of a chunk when the file was opened.
struct TraceChunk {
  std::uint64_t offset = 0;  // in the file, of its first record
  std::uint32_t bytes = 0;   // of its whole records
  std::uint32_t sequence = 0;
};

// Bytes that a record of this kind has at least; those of a head for a kind that is not known.
std::size_t least_size(std::uint8_t kind);
// Whether a record of this size can stand where `left` bytes of records are.
bool is_record_size(std::size_t size, std::size_t left);
// Whether a clock that counts from a machine's start can say so: below 146 years, so that two times can be subtracted.
constexpr bool is_record_time(std::int64_t time) { return time >= 0 && time < std::int64_t{1} << 62; }
// Reads up to `size` bytes at `offset`; how many there were.
std::size_t read_at(int file, std::uint64_t offset, void* bytes, std::size_t size);

class LaneReader {
 public:
  // `window`: bytes that are kept in memory; one record is always. The chunks outlive the reader.
  LaneReader(int file, std::span<const TraceChunk> chunks, std::size_t window)
      : file_(file), chunks_(chunks), window_(window) {}
  // Goes on to the next record of kinds GROW to LABEL; false at the end.
  bool next();
  // The record that next() found; valid until it is called again.
  const stacktide_trace_head& record() const { return *record_; }

 private:
  const std::byte* bytes(std::size_t size);
  void skip(std::size_t size) { at_ += size, left_ -= size; }

  int file_;
  std::span<const TraceChunk> chunks_;
  std::size_t window_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0;      // in the buffer: what comes next
  std::size_t end_ = 0;     // of what the buffer holds
  std::uint64_t read_ = 0;  // in the file: what follows the buffer
  std::size_t left_ = 0;    // bytes of the chunk's records from `at_` on
  const stacktide_trace_head* record_ = nullptr;
};

}  // namespace stacktide

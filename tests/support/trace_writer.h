// Builds trace files byte by byte, whole or broken ones, for tests and benchmarks of what reads them.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/trace_file.h"

namespace stacktide::test {

class TraceWriter {
 public:
  // The file is complete once close() or the destructor has run.
  explicit TraceWriter(const std::string& path, std::uint32_t chunk_size = 4096);
  ~TraceWriter() { close(); }
  stacktide_trace_header header{};  // what close() writes; to be changed at will

  // A record of any kind with these bytes; kind and time are given, the size is filled in. `tail` follows the structure.
  template <class Record>
  void add(std::uint16_t lane, std::uint8_t kind, Record record, std::string_view tail = {}) {
    record.head.kind = kind;
    put(lane, &record, sizeof record, tail);
  }
  // Short forms, in lane 0.
  void stack(std::uint8_t kind, std::int64_t time, std::uint64_t goroutine, std::uint32_t chain, std::uint32_t old_size,
             std::uint32_t new_size, std::uint32_t used, std::uint32_t duration, std::uint8_t flags = 0);
  void spawn(std::int64_t time, std::uint64_t goroutine, std::uint64_t parent, std::uint64_t entry, std::uint32_t chain = 0,
             std::uint64_t stack_size = 2048, std::uint8_t flags = 0);
  void exit(std::int64_t time, stacktide_trace_goroutine counters, std::uint64_t goroutine);
  void live(std::int64_t time, stacktide_trace_goroutine counters, std::uint64_t goroutine);
  void park(std::int64_t time, std::uint64_t goroutine, std::uint16_t reason, std::uint32_t chain, std::uint32_t used = 300);
  void ready(std::int64_t time, std::uint64_t goroutine, std::uint64_t by);
  void text(std::uint8_t kind, std::int64_t time, std::uint64_t goroutine, std::uint32_t number, std::string_view text);
  void chain(std::uint32_t number, const std::vector<std::uint64_t>& pcs);
  // A symbol record of level 0, in the symbols' lane.
  void symbol(std::uint64_t pc, bool exact, std::string_view function, std::string_view file, std::uint32_t line,
              std::uint32_t level = 0, std::string_view linkage = {});
  void close();

 private:
  struct Lane {
    std::uint64_t offset = 0;  // in the file, of the open chunk; 0: none
    std::uint32_t sequence = 0;
    std::string bytes;  // of the open chunk's records
  };
  void put(std::uint16_t lane, const void* record, std::size_t size, std::string_view tail);
  void flush(std::uint16_t number, Lane& lane);
  std::ofstream file_;
  std::uint32_t chunk_size_;
  std::uint64_t next_;
  std::map<std::uint16_t, Lane> lanes_;
  bool open_ = true;
};

}  // namespace stacktide::test

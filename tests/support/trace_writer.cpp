#include "support/trace_writer.h"

#include <cstring>

namespace stacktide::test {

TraceWriter::TraceWriter(const std::string& path, std::uint32_t chunk_size)
    : file_(path, std::ios::binary | std::ios::trunc), chunk_size_(chunk_size), next_(chunk_size) {
  header.magic = STACKTIDE_TRACE_MAGIC;
  header.major = STACKTIDE_TRACE_MAJOR;
  header.minor = STACKTIDE_TRACE_MINOR;
  header.header_size = sizeof header;
  header.chunk_size = chunk_size;
  header.pid = 4711;
  header.max_procs = 2;
  header.min_stack = 2048;
  header.segment_size = 8192;
  header.max_stack = std::uint64_t{1} << 30;
  header.waits = 1;
}

void TraceWriter::put(std::uint16_t number, const void* record, std::size_t size, std::string_view tail) {
  std::string bytes(static_cast<const char*>(record), size);
  bytes += tail;
  bytes.resize((bytes.size() + 7) & ~std::size_t{7});
  const auto whole = static_cast<std::uint16_t>(bytes.size());
  std::memcpy(bytes.data() + offsetof(stacktide_trace_head, size), &whole, sizeof whole);
  auto& lane = lanes_[number];
  if (sizeof(stacktide_trace_chunk) + lane.bytes.size() + bytes.size() > chunk_size_) flush(number, lane);
  if (lane.offset == 0) {
    lane.offset = next_;
    next_ += chunk_size_;
  }
  lane.bytes += bytes;
}

void TraceWriter::flush(std::uint16_t number, Lane& lane) {
  if (lane.offset == 0) return;
  const stacktide_trace_chunk chunk{STACKTIDE_TRACE_CHUNK_MAGIC, number, sizeof chunk, lane.sequence++,
                                    static_cast<std::uint32_t>(lane.bytes.size())};
  lane.bytes.insert(0, reinterpret_cast<const char*>(&chunk), sizeof chunk);
  lane.bytes.resize(chunk_size_);
  file_.seekp(static_cast<std::streamoff>(lane.offset));
  file_.write(lane.bytes.data(), static_cast<std::streamsize>(lane.bytes.size()));
  lane.bytes.clear();
  lane.offset = 0;
}

void TraceWriter::close() {
  if (!open_) return;
  open_ = false;
  for (auto& [number, lane] : lanes_) flush(number, lane);
  std::string first(reinterpret_cast<const char*>(&header), sizeof header);
  first.resize(chunk_size_);
  file_.seekp(0);
  file_.write(first.data(), static_cast<std::streamsize>(first.size()));
  file_.close();
}

void TraceWriter::stack(std::uint8_t kind, std::int64_t time, std::uint64_t goroutine, std::uint32_t chain,
                        std::uint32_t old_size, std::uint32_t new_size, std::uint32_t used, std::uint32_t duration,
                        std::uint8_t flags) {
  add(0, kind, stacktide_trace_stack{{0, flags, 0, chain, time, goroutine}, old_size, new_size, used, duration, 0, 0});
}

void TraceWriter::spawn(std::int64_t time, std::uint64_t goroutine, std::uint64_t parent, std::uint64_t entry,
                        std::uint32_t chain, std::uint64_t stack_size, std::uint8_t flags) {
  add(0, STACKTIDE_TRACE_SPAWN, stacktide_trace_spawn{{0, flags, 0, chain, time, goroutine}, parent, entry, 0, stack_size});
}

void TraceWriter::exit(std::int64_t time, stacktide_trace_goroutine counters, std::uint64_t goroutine) {
  counters.head.time = time;
  counters.head.goroutine = goroutine;
  add(0, STACKTIDE_TRACE_EXIT, counters);
}

void TraceWriter::live(std::int64_t time, stacktide_trace_goroutine counters, std::uint64_t goroutine) {
  counters.head.time = time;
  counters.head.goroutine = goroutine;
  add(0, STACKTIDE_TRACE_LIVE, counters);
}

void TraceWriter::park(std::int64_t time, std::uint64_t goroutine, std::uint16_t reason, std::uint32_t chain,
                       std::uint32_t used) {
  add(0, STACKTIDE_TRACE_PARK, stacktide_trace_park{{0, 0, 0, chain, time, goroutine}, used, reason, 0, 0});
}

void TraceWriter::ready(std::int64_t time, std::uint64_t goroutine, std::uint64_t by) {
  add(0, STACKTIDE_TRACE_READY, stacktide_trace_ready{{0, 0, 0, 0, time, goroutine}, by});
}

void TraceWriter::text(std::uint8_t kind, std::int64_t time, std::uint64_t goroutine, std::uint32_t number,
                       std::string_view text) {
  add(0, kind, stacktide_trace_text{{0, 0, 0, number, time, goroutine}}, std::string(text) + '\0');
}

void TraceWriter::chain(std::uint32_t number, const std::vector<std::uint64_t>& pcs) {
  add(0, STACKTIDE_TRACE_CHAIN, stacktide_trace_chain{{0, 0, 0, number, 0, 0}},
      {reinterpret_cast<const char*>(pcs.data()), pcs.size() * sizeof(std::uint64_t)});
}

void TraceWriter::symbol(std::uint64_t pc, bool exact, std::string_view function, std::string_view file, std::uint32_t line,
                         std::uint32_t level, std::string_view linkage) {
  std::string texts;
  for (const auto text : {function, file, std::string_view("/bin/program"), linkage}) texts += std::string(text) + '\0';
  add(STACKTIDE_LANE_SYMBOLS, STACKTIDE_TRACE_SYMBOL,
      stacktide_trace_symbol{{0, 0, 0, level, 0, 0}, pc, line, exact ? 1U : 0U}, texts);
}

}  // namespace stacktide::test

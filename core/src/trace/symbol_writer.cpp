#include "trace/symbol_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "trace/recorded_names.h"

namespace stacktide {
namespace {

// Of each text of a symbol record: four of them fit into the smallest chunk. Names of templates can be longer.
constexpr std::size_t kLongestText = 900;

class ChunkWriter {
 public:
  ChunkWriter(std::string path, int file, std::uint64_t offset, std::uint32_t size, std::uint32_t sequence)
      : path_(std::move(path)), file_(file), offset_(offset), size_(size), sequence_(sequence) {}

  template <class Record>
  Result<void> add(std::uint8_t kind, Record record, std::string_view tail) {
    const auto size = (sizeof record + tail.size() + 7) / 8 * 8;
    if (sizeof(stacktide_trace_chunk) + records_.size() + size > size_) {
      if (auto done = flush(); !done) return done;
    }
    record.head.kind = kind;
    record.head.size = static_cast<std::uint16_t>(size);
    const auto start = records_.size();
    records_.append(reinterpret_cast<const char*>(&record), sizeof record);
    records_.append(tail);
    records_.resize(start + size);
    return {};
  }

  Result<void> flush() {
    if (records_.empty()) return {};
    stacktide_trace_chunk chunk{0, STACKTIDE_LANE_SYMBOLS, sizeof chunk, sequence_++,
                                static_cast<std::uint32_t>(records_.size())};
    std::string bytes(reinterpret_cast<const char*>(&chunk), sizeof chunk);
    bytes += records_;
    bytes.resize(size_);
    // The magic last: a chunk without it is not there.
    chunk.magic = STACKTIDE_TRACE_CHUNK_MAGIC;
    for (const auto& [at, text] :
         {std::pair(offset_, std::string_view(bytes)),
          std::pair(offset_, std::string_view(reinterpret_cast<const char*>(&chunk.magic), sizeof chunk.magic))}) {
      if (auto done = write(at, text); !done) return done;
    }
    offset_ += size_;
    records_.clear();
    return {};
  }

 private:
  Result<void> write(std::uint64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto written = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return fail(ErrorCode::io_error, fmt::format("{}: {}", path_, std::strerror(errno)));
      bytes.remove_prefix(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    return {};
  }

  std::string path_;
  int file_;
  std::uint64_t offset_;
  std::uint32_t size_;
  std::uint32_t sequence_;
  std::string records_;
};

std::string texts_of(const TraceLevel& level) {
  std::string texts;
  for (const auto* text : {&level.function, &level.file, &level.module, &level.symbol}) {
    texts += text->substr(0, kLongestText);
    texts += '\0';
  }
  return texts;
}

}  // namespace

Result<void> append_symbols(const std::string& path, std::optional<int> wait_status) {
  const auto recording = STACKTIDE_TRY(Recording::open(path));
  const auto& info = recording.info();
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return fail(ErrorCode::io_error, fmt::format("{}: {}", path, std::strerror(errno)));
  const std::uint64_t step = info.header.chunk_size;
  const auto end = std::max(step, (info.size + step - 1) / step * step);
  ChunkWriter writer(path, file.get(), end, info.header.chunk_size, recording.next_sequence(STACKTIDE_LANE_SYMBOLS));
  RecordedNames names(recording);
  for (const auto& [pc, exact] : addresses_of(recording)) {
    if (recording.symbols().contains({pc, exact})) continue;
    std::uint32_t number = 0;
    for (const auto& level : names.levels(pc, exact)) {
      if (level.function.empty() && level.file.empty()) continue;  // nothing is known: a later reader may know more
      const stacktide_trace_symbol record{{0, 0, 0, number++, info.last, 0}, pc, level.line, exact ? 1U : 0U};
      if (auto done = writer.add(STACKTIDE_TRACE_SYMBOL, record, texts_of(level)); !done) return done;
    }
  }
  if (wait_status && !info.status) {
    const stacktide_trace_text record{{0, 0, 0, static_cast<std::uint32_t>(*wait_status), info.last, 0}};
    if (auto done = writer.add(STACKTIDE_TRACE_STATUS, record, std::string_view("\0", 1)); !done) return done;
  }
  return writer.flush();
}

}  // namespace stacktide

// Opening a trace file, and going over it.
#include "trace/recording.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>
#include <unordered_map>

#include "base/bytes.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "trace/lane_reader.h"

namespace stacktide {
namespace {

constexpr std::uint32_t kSmallestChunk = 4096;
constexpr std::uint32_t kLargestChunk = 16U << 20;
constexpr std::size_t kDamageLines = 20;
constexpr std::size_t kLevels = 64;          // of inlined functions at one address
constexpr std::size_t kBuildId = 32;         // bytes
constexpr std::size_t kWindows = 32U << 20;  // bytes, of all lanes while they are merged
constexpr std::size_t kSmallestWindow = 1024;
constexpr std::size_t kLargestWindow = 64U << 10;
// A header that ends before this says too little to go by.
constexpr std::size_t kLeastHeader = offsetof(stacktide_trace_header, lost);

bool is_chunk_size(std::uint32_t size) {
  return std::has_single_bit(size) && size >= kSmallestChunk && size <= kLargestChunk;
}

// Up to the first zero byte; the rest of `bytes` follows it.
std::string_view take_text(std::string_view& bytes) {
  const auto text = bytes.substr(0, bytes.find('\0'));
  bytes.remove_prefix(std::min(bytes.size(), text.size() + 1));
  return text;
}

std::string_view behind(const stacktide_trace_head& head, std::size_t structure) {
  return {reinterpret_cast<const char*>(&head) + structure, head.size - structure};
}

}  // namespace

std::string_view TraceRecord::text() const {
  auto rest = behind(*head, sizeof(stacktide_trace_text));
  return take_text(rest);
}

struct Recording::State {
  UniqueFd file;
  RecordingInfo info;
  std::map<std::uint16_t, std::vector<TraceChunk>> lanes;                         // by sequence
  std::vector<std::uint64_t> addresses;                                           // of all chains
  std::unordered_map<std::uint32_t, std::pair<std::size_t, std::size_t>> chains;  // first and count of addresses
  std::map<std::uint16_t, std::string> reasons;
  std::string unknown;               // stays empty
  std::map<Address, Module> mapped;  // by start; they do not overlap
  std::vector<Module> modules;
  std::map<std::pair<std::uint64_t, bool>, std::vector<TraceLevel>> symbols;
  std::uint64_t damaged = 0;
  std::uint64_t short_records = 0;
  std::uint64_t untimely_records = 0;

  void damage(std::string line) {
    if (++damaged <= kDamageLines) info.damage.push_back(std::move(line));
  }

  Result<void> read_header(const std::string& path);
  void find_chunk_size();
  void read_chunks();
  void read_chunk(std::uint64_t offset, const std::vector<std::byte>& bytes, std::size_t size);
  void see(const stacktide_trace_head& head);
  void add_module(const stacktide_trace_module& module);
  void add_symbol(const stacktide_trace_symbol& symbol);
  void check_sequences();
};

Result<void> Recording::State::read_header(const std::string& path) {
  // O_NONBLOCK: opening a FIFO would wait for its writer.
  file = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return fail(ErrorCode::io_error, fmt::format("{}: {}", path, std::strerror(errno)));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail(ErrorCode::io_error, fmt::format("{}: {}", path, std::strerror(errno)));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::io_error, fmt::format("{}: not a regular file", path));
  info.path = path;
  info.size = static_cast<std::uint64_t>(status.st_size);
  auto& header = info.header;
  const auto got = read_at(file.get(), 0, &header, sizeof header);
  if (got < sizeof header.magic || header.magic != STACKTIDE_TRACE_MAGIC)
    return fail(ErrorCode::usage, fmt::format("{} is no trace file: `stacktide record` writes them", path));
  if (got >= offsetof(stacktide_trace_header, minor) && header.major != STACKTIDE_TRACE_MAJOR)
    return fail(ErrorCode::usage,
                fmt::format("{} has trace format {}, this program reads {}: use the stacktide that recorded it", path,
                            header.major, STACKTIDE_TRACE_MAJOR));
  if (got < kLeastHeader)
    return fail(ErrorCode::usage, fmt::format("{} ends within its header: nothing was recorded", path));
  if (got < sizeof header) damage(fmt::format("the file ends within its header, after {} bytes", got));
  if (header.header_size < kLeastHeader) {
    damage(fmt::format("the header says that it has {} bytes, which is too little", header.header_size));
  } else if (header.header_size < sizeof header) {
    // An older minor version's: what it does not have is 0.
    std::memset(reinterpret_cast<char*>(&header) + header.header_size, 0, sizeof header - header.header_size);
  }
  if (!is_record_time(header.started)) {
    damage(fmt::format("the header says that recording began at {} ns, which cannot be", header.started));
    header.started = 0;
  }
  find_chunk_size();
  return {};
}

// By the header; where no chunk begins there, by where one does.
void Recording::State::find_chunk_size() {
  auto& size = info.header.chunk_size;
  const auto begins_at = [&](std::uint64_t offset) {
    std::uint32_t magic = 0;
    return read_at(file.get(), offset, &magic, sizeof magic) == sizeof magic && magic == STACKTIDE_TRACE_CHUNK_MAGIC;
  };
  if (is_chunk_size(size) && begins_at(size)) return;
  for (auto other = kSmallestChunk; other <= kLargestChunk; other *= 2) {
    if (!begins_at(other)) continue;
    // Chunk 1 may be the damaged one; then chunk 2 is found, whose place is a multiple of the size all the same.
    if (is_chunk_size(size) && other % size == 0) return;
    damage(fmt::format("the header says that chunks have {} bytes, but one begins at byte {}", size, other));
    size = other;
    return;
  }
  if (!is_chunk_size(size)) {
    damage(fmt::format("the header says that chunks have {} bytes, which cannot be, and no chunk was found", size));
    size = STACKTIDE_TRACE_CHUNK_SIZE;
  }
}

void Recording::State::read_chunks() {
  const std::uint64_t step = info.header.chunk_size;
  std::vector<std::byte> bytes(step);
  for (auto offset = step; offset < info.size; offset += step) {
    // Most of a file that was made larger ahead of its writer is a hole: look before reading it all.
    constexpr std::size_t kHead = sizeof(stacktide_trace_chunk);
    const auto there = static_cast<std::size_t>(std::min(step, info.size - offset));
    const auto got = read_at(file.get(), offset, bytes.data(), std::min(kHead, there));
    const auto chunk = load<stacktide_trace_chunk>({bytes.data(), got}, 0);
    if (!chunk) {
      if (std::any_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(got),
                      [](std::byte b) { return b != std::byte{0}; }))
        damage(fmt::format("the file is cut short within the header of the chunk at byte {}", offset));
      continue;
    }
    if (chunk->magic == 0) continue;
    if (chunk->magic != STACKTIDE_TRACE_CHUNK_MAGIC) {
      damage(fmt::format("what lies at byte {} is no chunk: {} bytes are skipped", offset, there));
      continue;
    }
    const auto wanted = std::min<std::uint64_t>(there, std::uint64_t{chunk->header_size} + chunk->used);
    read_chunk(offset, bytes, read_at(file.get(), offset, bytes.data(), wanted));
  }
}

// `size`: bytes of the chunk that the file has and that are in use.
void Recording::State::read_chunk(std::uint64_t offset, const std::vector<std::byte>& bytes, std::size_t size) {
  stacktide_trace_chunk chunk;
  std::memcpy(&chunk, bytes.data(), sizeof chunk);
  const std::size_t step = bytes.size();
  if (chunk.header_size < sizeof chunk || chunk.header_size % 8 != 0 || chunk.header_size > step) {
    damage(fmt::format("the chunk at byte {} says that its header has {} bytes: it is skipped", offset, chunk.header_size));
    return;
  }
  ++info.chunks;
  const bool too_much = chunk.used > step - chunk.header_size;
  if (too_much)
    damage(fmt::format("the chunk at byte {} says that {} bytes of it are in use, which is more than it has", offset,
                       chunk.used));
  const std::size_t missing = too_much ? 0 : chunk.header_size + std::size_t{chunk.used} - size;
  if (missing != 0)
    damage(fmt::format("the file is cut short: {} bytes of the chunk at byte {} are missing", missing, offset));
  std::size_t at = chunk.header_size;
  while (at + sizeof(stacktide_trace_head) <= size) {
    const auto& head = *reinterpret_cast<const stacktide_trace_head*>(bytes.data() + at);
    if (!is_record_size(head.size, size - at)) break;
    see(head);
    at += head.size;
  }
  if (at < size && missing == 0 && !too_much)
    damage(fmt::format("the record at byte {} is damaged: {} bytes are skipped, up to the chunk's end", offset + at,
                       size - at));
  lanes[chunk.lane].push_back({offset + chunk.header_size,
                               static_cast<std::uint32_t>(std::max(at, std::size_t{chunk.header_size}) - chunk.header_size),
                               chunk.sequence});
}

// What later records refer to, and what tells of the whole file.
void Recording::State::see(const stacktide_trace_head& head) {
  if (head.size < least_size(head.kind)) {
    ++short_records;
    return;
  }
  if (!is_record_time(head.time)) {
    ++untimely_records;
    return;
  }
  const TraceRecord record{&head};
  if (head.kind != STACKTIDE_TRACE_SYMBOL) ++info.records;
  if (head.kind <= STACKTIDE_TRACE_LABEL || head.kind == STACKTIDE_TRACE_END) {
    info.first = std::min(info.first, head.time);
    info.last = std::max(info.last, head.time);
  }
  switch (head.kind) {
    case STACKTIDE_TRACE_CHAIN: {
      const auto rest = behind(head, sizeof(stacktide_trace_chain));
      const auto count = rest.size() / sizeof(std::uint64_t);
      if (head.number == 0 || !chains.emplace(head.number, std::pair(addresses.size(), count)).second) break;
      addresses.resize(addresses.size() + count);
      std::memcpy(addresses.data() + addresses.size() - count, rest.data(), count * sizeof(std::uint64_t));
      break;
    }
    case STACKTIDE_TRACE_MODULE:
      add_module(record.as<stacktide_trace_module>());
      break;
    case STACKTIDE_TRACE_NAME:
      reasons.emplace(static_cast<std::uint16_t>(head.number), printable(record.text()));
      break;
    case STACKTIDE_TRACE_END:
      info.end = record.text().empty() ? "exit" : printable(record.text());
      break;
    case STACKTIDE_TRACE_SYMBOL:
      add_symbol(record.as<stacktide_trace_symbol>());
      break;
    case STACKTIDE_TRACE_STATUS:
      info.status = static_cast<int>(head.number);
      break;
    case STACKTIDE_TRACE_COMMAND:
      info.command = printable(record.text());
      break;
    default:
      break;
  }
}

void Recording::State::add_module(const stacktide_trace_module& record) {
  auto rest = behind(record.head, sizeof record);
  if (record.lo >= record.hi) return;
  Module module;
  module.path = printable(take_text(rest));
  module.load_bias = record.bias;
  module.start = record.lo;
  module.end = record.hi;
  module.build_id = to_hex(std::as_bytes(std::span(record.build_id, std::min<std::size_t>(record.build_id_size, kBuildId))));
  auto at = mapped.lower_bound(module.start);
  if (at != mapped.begin() && std::prev(at)->second.end > module.start) --at;
  while (at != mapped.end() && at->first < module.end) at = mapped.erase(at);
  mapped.emplace(module.start, std::move(module));
}

void Recording::State::add_symbol(const stacktide_trace_symbol& record) {
  const std::size_t level = record.head.number;
  if (level >= kLevels) return;
  auto& levels = symbols[{record.pc, record.is_exact != 0}];
  if (levels.size() > level && !levels[level].module.empty()) return;
  if (levels.size() <= level) levels.resize(level + 1);
  auto rest = behind(record.head, sizeof record);
  auto& there = levels[level];
  there.function = printable(take_text(rest));
  there.file = printable(take_text(rest));
  there.module = printable(take_text(rest));
  there.symbol = printable(take_text(rest));
  there.line = record.line;
}

// A chunk whose header is damaged, or that was lost when a file was copied, leaves a gap.
void Recording::State::check_sequences() {
  for (auto& [lane, chunks] : lanes) {
    std::ranges::stable_sort(chunks, {}, &TraceChunk::sequence);
    std::uint64_t expected = 0;
    for (const auto& chunk : chunks) {
      if (chunk.sequence > expected)
        damage(fmt::format("lane {} lacks {} of its chunks, from number {} on", lane, chunk.sequence - expected, expected));
      if (chunk.sequence < expected) damage(fmt::format("lane {} has two chunks of number {}", lane, chunk.sequence));
      expected = std::uint64_t{chunk.sequence} + 1;
    }
  }
}

Result<Recording> Recording::open(const std::string& path) {
  auto state = std::make_unique<State>();
  if (auto done = state->read_header(path); !done) return std::unexpected(std::move(done).error());
  auto& info = state->info;
  info.first = INT64_MAX;
  info.last = INT64_MIN;
  state->read_chunks();
  state->check_sequences();
  if (info.first > info.last) info.first = info.last = info.header.started;
  for (auto& [start, module] : state->mapped) state->modules.push_back(std::move(module));
  if (state->short_records != 0)
    state->damage(fmt::format("records that are shorter than their kind wants: {}, skipped", state->short_records));
  if (state->untimely_records != 0)
    state->damage(fmt::format("records with a time that cannot be: {}, skipped", state->untimely_records));
  if (state->damaged > kDamageLines)
    info.damage.push_back(fmt::format("{} more places are damaged", state->damaged - kDamageLines));
  return Recording(std::move(state));
}

Recording::Recording(std::unique_ptr<State> state) : state_(std::move(state)) {}
Recording::Recording(Recording&&) noexcept = default;
Recording& Recording::operator=(Recording&&) noexcept = default;
Recording::~Recording() = default;

const RecordingInfo& Recording::info() const { return state_->info; }

void Recording::visit(const std::function<void(const TraceRecord&)>& visitor) const {
  const auto& lanes = state_->lanes;
  const auto window = std::clamp(kWindows / std::max<std::size_t>(1, lanes.size()), kSmallestWindow, kLargestWindow);
  std::vector<LaneReader> readers;
  readers.reserve(lanes.size());
  // The earliest record on top; of equal times that of the first lane.
  using Entry = std::pair<std::int64_t, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> next;
  for (const auto& [lane, chunks] : lanes) {
    auto& reader = readers.emplace_back(state_->file.get(), chunks, window);
    if (reader.next()) next.emplace(reader.record().time, readers.size() - 1);
  }
  while (!next.empty()) {
    const auto index = next.top().second;
    next.pop();
    auto& reader = readers[index];
    bool more = true;
    // A lane is mostly ahead of the others for many records.
    do {
      visitor({&reader.record()});
      more = reader.next();
    } while (more && (next.empty() || Entry(reader.record().time, index) < next.top()));
    if (more) next.emplace(reader.record().time, index);
  }
}

std::span<const std::uint64_t> Recording::chain(std::uint32_t number) const {
  const auto found = state_->chains.find(number);
  if (found == state_->chains.end()) return {};
  return std::span(state_->addresses).subspan(found->second.first, found->second.second);
}

std::vector<std::uint32_t> Recording::chain_numbers() const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, place] : state_->chains) numbers.push_back(number);
  std::ranges::sort(numbers);
  return numbers;
}

const std::string& Recording::wait_reason(std::uint16_t value) const {
  const auto found = state_->reasons.find(value);
  return found == state_->reasons.end() ? state_->unknown : found->second;
}

const std::vector<Module>& Recording::modules() const { return state_->modules; }

const std::map<std::pair<std::uint64_t, bool>, std::vector<TraceLevel>>& Recording::symbols() const {
  return state_->symbols;
}

std::uint32_t Recording::next_sequence(std::uint16_t lane) const {
  const auto found = state_->lanes.find(lane);
  return found == state_->lanes.end() || found->second.empty() ? 0 : found->second.back().sequence + 1;
}

}  // namespace stacktide

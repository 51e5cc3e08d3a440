#include "trace/lane_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace stacktide {

std::size_t least_size(std::uint8_t kind) {
  switch (kind) {
    case STACKTIDE_TRACE_GROW:
    case STACKTIDE_TRACE_SHRINK:
    case STACKTIDE_TRACE_LINK:
    case STACKTIDE_TRACE_RELEASE:
      return sizeof(stacktide_trace_stack);
    case STACKTIDE_TRACE_SPAWN:
      return sizeof(stacktide_trace_spawn);
    case STACKTIDE_TRACE_EXIT:
    case STACKTIDE_TRACE_LIVE:
      return sizeof(stacktide_trace_goroutine);
    case STACKTIDE_TRACE_PARK:
      return sizeof(stacktide_trace_park);
    case STACKTIDE_TRACE_READY:
      return sizeof(stacktide_trace_ready);
    case STACKTIDE_TRACE_MODULE:
      return sizeof(stacktide_trace_module);
    case STACKTIDE_TRACE_SYMBOL:
      return sizeof(stacktide_trace_symbol);
    default:
      return sizeof(stacktide_trace_head);
  }
}

bool is_record_size(std::size_t size, std::size_t left) {
  return size >= sizeof(stacktide_trace_head) && size % 8 == 0 && size <= left;
}

std::size_t read_at(int file, std::uint64_t offset, void* bytes, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const auto got = ::pread(file, static_cast<char*>(bytes) + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

// `size` bytes from where the reader is; nullptr when the file no longer has them.
const std::byte* LaneReader::bytes(std::size_t size) {
  if (end_ - at_ < size) {
    const auto kept = end_ - at_;
    if (buffer_.size() < std::max(size, window_)) buffer_.resize(std::max(size, window_));
    std::memmove(buffer_.data(), buffer_.data() + at_, kept);
    const auto got = read_at(file_, read_, buffer_.data() + kept, std::min(buffer_.size(), left_) - kept);
    read_ += got;
    at_ = 0;
    end_ = kept + got;
    if (end_ < size) return nullptr;
  }
  return buffer_.data() + at_;
}

bool LaneReader::next() {
  for (;;) {
    if (left_ < sizeof(stacktide_trace_head)) {
      if (chunks_.empty()) return false;
      read_ = chunks_.front().offset;
      left_ = chunks_.front().bytes;
      at_ = end_ = 0;
      chunks_ = chunks_.subspan(1);
      continue;
    }
    const auto* head = bytes(sizeof(stacktide_trace_head));
    const std::size_t size = head == nullptr ? 0 : reinterpret_cast<const stacktide_trace_head*>(head)->size;
    if (!is_record_size(size, left_)) {
      left_ = 0;
      continue;
    }
    const auto* record = bytes(size);
    if (record == nullptr) {
      left_ = 0;
      continue;
    }
    record_ = reinterpret_cast<const stacktide_trace_head*>(record);
    skip(size);
    const auto kind = record_->kind;
    if (kind >= STACKTIDE_TRACE_GROW && kind <= STACKTIDE_TRACE_LABEL && size >= least_size(kind) &&
        is_record_time(record_->time))
      return true;
  }
}

}  // namespace stacktide

#include "trace_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <thread>

#include "fatal.h"

namespace stacktide::runtime {
namespace {

constexpr std::uint64_t kChunk = STACKTIDE_TRACE_CHUNK_SIZE;
constexpr std::uint64_t kReserve = 64;      // chunks whose blocks are reserved at a time
constexpr std::uint32_t kReady = 16;        // chunks that the thread keeps ready
constexpr std::uint32_t kFew = kReady / 2;  // below this it is woken

constinit int file = -1;
constinit stacktide_trace_header* header = nullptr;  // mapped as long as the process lives
constinit TraceFileOptions options;
// Nothing more will be handed out: asked before the lock is.
constinit std::atomic<bool> no_more = false;

// Guards all below; a leaf lock, but that the thread may be woken under it.
struct Supply {
  std::mutex lock;
  std::condition_variable changed;
  stacktide_trace_chunk* ready[kReady] = {};  // in the order of the file, the first to be handed out last in the array
  std::uint64_t offsets[kReady] = {};
  std::uint32_t count = 0;
  std::uint64_t next = 1;      // chunk to be made next
  std::uint64_t reserved = 1;  // chunks whose blocks are there
  std::uint64_t handed = 1;    // one past the highest that a lane got
  bool full = false;           // no chunk can be made any more
  bool closed = false;
};
Supply& supply() {
  // Lives as long as the process: threads may write while it ends.
  static Supply* const instance = new Supply;
  return *instance;
}

bool reserve_blocks(Supply& self) {
  const auto from = static_cast<off_t>(self.reserved * kChunk);
  constexpr auto bytes = static_cast<off_t>(kReserve * kChunk);
  int error = 0;
  while (fallocate(file, 0, from, bytes) != 0) {
    error = errno;
    if (error != EINTR) break;
    error = 0;
  }
  // Not every file system reserves. There, a full disk ends the program with SIGBUS.
  if (error == EOPNOTSUPP || error == ENOSYS) error = ftruncate(file, from + bytes) == 0 ? 0 : errno;
  if (error != 0) return false;
  self.reserved += kReserve;
  return true;
}

// Under the lock. nullptr: there is no room.
stacktide_trace_chunk* make_chunk(Supply& self, std::uint64_t& number) {
  if (self.full) return nullptr;
  const bool over = options.limit != 0 && (self.next + 1) * kChunk > options.limit;
  void* memory = MAP_FAILED;
  if (!over && (self.next < self.reserved || reserve_blocks(self)))
    memory = mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(self.next * kChunk));
  if (memory == MAP_FAILED) {
    self.full = true;
    no_more.store(self.count == 0, std::memory_order_relaxed);
    return nullptr;
  }
  number = self.next++;
  // A fault each now, rather than when a record is written. MAP_POPULATE would leave a second one, at the first write.
  for (std::uint64_t at = 0; at < kChunk; at += 4096) static_cast<volatile char*>(memory)[at] = 0;
  return static_cast<stacktide_trace_chunk*>(memory);
}

stacktide_trace_chunk* take_chunk() {
  if (no_more.load(std::memory_order_relaxed)) return nullptr;
  Supply& self = supply();
  std::lock_guard guard(self.lock);
  if (self.closed) return nullptr;
  std::uint64_t number = 0;
  stacktide_trace_chunk* chunk = nullptr;
  if (self.count != 0) {
    --self.count;
    chunk = self.ready[self.count];
    number = self.offsets[self.count];
  } else if (options.waits) {
    chunk = make_chunk(self, number);
  }
  if (chunk != nullptr && number >= self.handed) self.handed = number + 1;
  if (self.full && self.count == 0) no_more.store(true, std::memory_order_relaxed);
  if (self.count < kFew && !self.full) self.changed.notify_one();
  return chunk;
}

void keep_chunks_ready(void (*look)()) {
  Supply& self = supply();
  for (;;) {
    look();
    std::unique_lock guard(self.lock);
    self.changed.wait(guard, [&] { return self.count < kFew && !self.full && !self.closed; });
    while (self.count < kReady && !self.full && !self.closed) {
      std::uint64_t number = 0;
      stacktide_trace_chunk* chunk = make_chunk(self, number);
      if (chunk == nullptr) break;
      // What is made last is handed out last.
      std::memmove(self.ready + 1, self.ready, self.count * sizeof self.ready[0]);
      std::memmove(self.offsets + 1, self.offsets, self.count * sizeof self.offsets[0]);
      self.ready[0] = chunk;
      self.offsets[0] = number;
      ++self.count;
      // Writers get a turn between two that are made.
      guard.unlock();
      guard.lock();
    }
  }
}

[[noreturn]] void refuse(const char* what) {
  char text[512];
  std::snprintf(text, sizeof text, "STACKTIDE_TRACE=%.300s: %s: %s", options.path, what, std::strerror(errno));
  fatal(text);
}

}  // namespace

void* begin_record(Lane& lane, std::uint32_t size) {
  constexpr std::uint32_t room = kChunk - sizeof(stacktide_trace_chunk);
  if (lane.chunk == nullptr || lane.used + size > room) {
    stacktide_trace_chunk* next = take_chunk();
    if (next == nullptr) {
      // The old chunk stays: a shorter record may still find room in it.
      std::atomic_ref<std::uint64_t>(header->lost).fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    if (lane.chunk != nullptr) munmap(lane.chunk, kChunk);
    next->lane = lane.number;
    next->header_size = sizeof(stacktide_trace_chunk);
    next->sequence = lane.sequence++;
    std::atomic_ref<std::uint32_t>(next->magic).store(STACKTIDE_TRACE_CHUNK_MAGIC, std::memory_order_release);
    lane.chunk = next;
    lane.used = 0;
  }
  return reinterpret_cast<char*>(lane.chunk) + sizeof(stacktide_trace_chunk) + lane.used;
}

bool open_trace_file(const TraceFileOptions& wanted, stacktide_trace_header first) {
  options = wanted;
  file = open(options.path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) refuse("cannot be written");
  // Before it is emptied: it may be another process's, one that this one was started by.
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    close(file);
    return false;
  }
  // What is no trace is here by mistake. One whose beginning was interrupted has no magic yet.
  std::uint64_t magic = STACKTIDE_TRACE_MAGIC;
  const ssize_t there = pread(file, &magic, sizeof magic, 0);
  errno = EEXIST;
  if (there > 0 && magic != STACKTIDE_TRACE_MAGIC && magic != 0) refuse("is no trace, and is not overwritten");
  if (ftruncate(file, 0) != 0 || ftruncate(file, kChunk) != 0) refuse("cannot be written");
  void* memory = MAP_FAILED;
  if (fallocate(file, 0, 0, 4096) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
    memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  if (memory == MAP_FAILED) refuse("cannot be written");
  header = static_cast<stacktide_trace_header*>(memory);
  first.magic = 0;
  first.major = STACKTIDE_TRACE_MAJOR;
  first.minor = STACKTIDE_TRACE_MINOR;
  first.header_size = sizeof first;
  first.chunk_size = kChunk;
  first.pid = static_cast<std::uint32_t>(getpid());
  first.waits = options.waits ? 1 : 0;
  *header = first;
  std::atomic_ref<std::uint64_t>(header->magic).store(STACKTIDE_TRACE_MAGIC, std::memory_order_release);
  return true;
}

void start_trace_thread(void (*look)()) {
  std::thread([look] {
    pthread_setname_np(pthread_self(), "stacktide-trace");
    keep_chunks_ready(look);
  }).detach();
}

void close_trace_file() {
  Supply& self = supply();
  std::lock_guard guard(self.lock);
  if (self.closed) return;
  self.closed = true;
  no_more.store(true, std::memory_order_relaxed);
  // Lanes keep theirs, and what is still written into them is in the file.
  if (ftruncate(file, static_cast<off_t>(self.handed * kChunk)) != 0) return;
}

}  // namespace stacktide::runtime

#include "trace_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "fatal.h"

namespace stacktide::runtime {
namespace {

constexpr std::uint64_t kChunk = STACKTIDE_TRACE_CHUNK_SIZE;
constexpr std::uint32_t kWindow = 16;  // chunks of a window: mapped, and unmapped, at once
constexpr std::uint64_t kWindowBytes = kWindow * kChunk;
constexpr std::uint32_t kReady = 2;  // windows that the thread keeps ready

constinit int file = -1;
constinit stacktide_trace_header* header = nullptr;  // mapped as long as the process lives
constinit TraceFileOptions options;
// Nothing more will be handed out: asked before the lock is.
constinit std::atomic<bool> no_more = false;

// Guards all below, and counts of windows; a leaf lock, but that the thread may be woken under it.
struct Supply {
  std::mutex lock;
  std::condition_variable changed;
  TraceWindow* current = nullptr;  // whose chunks are handed out
  std::uint32_t given = kWindow;   // of its chunks
  TraceWindow* ready[kReady] = {};
  std::uint32_t count = 0;   // of those
  std::uint64_t next = 1;    // first chunk of the window to be made next
  std::uint64_t handed = 1;  // one past the highest that a lane got
  bool full = false;         // no window can be made any more
  bool making = false;       // the thread is, without the lock
  bool closed = false;
};
Supply& supply() {
  // Lives as long as the process: threads may write while it ends.
  static Supply* const instance = new Supply;
  return *instance;
}

// Zeros in the file, so that its blocks are there. Written, not reserved by fallocate(): what is reserved is read before it
// is first touched.
bool write_zeros(std::uint64_t from, std::uint64_t bytes) {
  static const char zeros[kChunk] = {};
  while (bytes != 0) {
    const ssize_t written = pwrite(file, zeros, bytes < kChunk ? bytes : kChunk, static_cast<off_t>(from));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    from += static_cast<std::uint64_t>(written);
    bytes -= static_cast<std::uint64_t>(written);
  }
  return true;
}

// A fault for each page now, rather than when a record is written. MAP_POPULATE would leave a second one, at the first
// write.
void touch(char* memory) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(memory, kWindowBytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  for (std::uint64_t at = 0; at < kWindowBytes; at += 4096) static_cast<volatile char*>(memory)[at] = 0;
}

// nullptr: there is no room. Without the lock: `first` is the caller's.
TraceWindow* make_window(std::uint64_t first) {
  if (options.limit != 0 && (first + kWindow) * kChunk > options.limit) return nullptr;
  if (!write_zeros(first * kChunk, kWindowBytes)) return nullptr;
  void* memory = mmap(nullptr, kWindowBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(first * kChunk));
  if (memory == MAP_FAILED) return nullptr;
  touch(static_cast<char*>(memory));
  auto* window = static_cast<TraceWindow*>(std::malloc(sizeof(TraceWindow)));
  if (window == nullptr) fatal("out of memory for a recording");
  *window = {static_cast<char*>(memory), first, kWindow};
  return window;
}

// The lane is done with a chunk of it.
void leave_window(Supply& self, TraceWindow* window) {
  {
    std::lock_guard guard(self.lock);
    if (--window->left != 0) return;
  }
  munmap(window->memory, kWindowBytes);
  std::free(window);
}

// Under the lock. False: nothing is left.
bool next_window(Supply& self) {
  if (self.count == 0) {
    if (!options.waits || self.full) return false;
    // The thread did not keep up: this one does its work, and the others wait for the lock.
    TraceWindow* window = make_window(self.next);
    if (window == nullptr) {
      self.full = true;
      return false;
    }
    self.next += kWindow;
    self.ready[self.count++] = window;
  }
  self.current = self.ready[0];
  self.given = 0;
  --self.count;
  for (std::uint32_t i = 0; i < self.count; ++i) self.ready[i] = self.ready[i + 1];
  return true;
}

// The next chunk, of `window`; nullptr: there is none.
stacktide_trace_chunk* take_chunk(TraceWindow*& window) {
  if (no_more.load(std::memory_order_relaxed)) return nullptr;
  Supply& self = supply();
  std::lock_guard guard(self.lock);
  if (self.closed) return nullptr;
  const bool some = self.given != kWindow || next_window(self);
  if (self.count < kReady && !self.full) self.changed.notify_one();
  if (!some) {
    no_more.store(self.full, std::memory_order_relaxed);
    return nullptr;
  }
  window = self.current;
  const std::uint64_t number = window->first + self.given;
  if (number >= self.handed) self.handed = number + 1;
  return reinterpret_cast<stacktide_trace_chunk*>(window->memory + kChunk * self.given++);
}

void keep_windows_ready(void (*look)()) {
  Supply& self = supply();
  for (;;) {
    look();
    std::unique_lock guard(self.lock);
    self.changed.wait(guard, [&] { return self.count < kReady && !self.full && !self.closed; });
    // Writers may take chunks meanwhile, and make windows behind this one.
    const std::uint64_t first = self.next;
    self.next += kWindow;
    self.making = true;
    guard.unlock();
    TraceWindow* window = make_window(first);
    guard.lock();
    self.making = false;
    if (self.closed) self.changed.notify_all();
    if (window == nullptr) {
      self.full = true;
    } else if (self.count < kReady && !self.closed) {
      self.ready[self.count++] = window;
    } else {
      munmap(window->memory, kWindowBytes);  // a stretch of zeros stays behind
      std::free(window);
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
    TraceWindow* window = nullptr;
    stacktide_trace_chunk* next = take_chunk(window);
    if (next == nullptr) {
      // The old chunk stays: a shorter record may still find room in it.
      std::atomic_ref<std::uint64_t>(header->lost).fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    if (lane.chunk != nullptr) leave_window(supply(), lane.window);
    lane.window = window;
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
  if (write_zeros(0, 4096)) memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
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
    keep_windows_ready(look);
  }).detach();
}

void close_trace_file() {
  Supply& self = supply();
  std::unique_lock guard(self.lock);
  if (self.closed) return;
  self.closed = true;
  no_more.store(true, std::memory_order_relaxed);
  // What the thread is touching must not be cut off under it. Lanes keep their chunks, and what is still written into them
  // is in the file.
  if (!self.changed.wait_for(guard, std::chrono::seconds(1), [&] { return !self.making; })) return;
  if (ftruncate(file, static_cast<off_t>(self.handed * kChunk)) != 0) return;
}

}  // namespace stacktide::runtime

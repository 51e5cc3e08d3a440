#include "recorder.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "call_chains.h"
#include "event_clock.h"
#include "fatal.h"
#include "scheduler.h"
#include "segments.h"
#include "stack_growth.h"

namespace stacktide::runtime {

constinit std::atomic<bool> recording = false;

namespace {

constexpr std::size_t kPath = 4096;  // bytes; longer ones are cut

constinit Lane* lanes = nullptr;  // one per P, and the shared one
// Guards the last lane; leaf, but for the supply of chunks.
constinit std::mutex shared_lane_lock;
constinit std::atomic<bool> ended = false;
constinit char path[kPath] = "";

Lane& shared_lane() { return lanes[scheduler.max_procs]; }

// This thread's lane, as long as it lives.
class OwnLane {
 public:
  OwnLane() : p_(own_p()) {
    if (p_ == nullptr) shared_lane_lock.lock();
  }
  ~OwnLane() {
    if (p_ == nullptr) shared_lane_lock.unlock();
  }
  OwnLane(const OwnLane&) = delete;
  OwnLane& operator=(const OwnLane&) = delete;
  operator Lane&() const { return p_ != nullptr ? lanes[p_->id] : shared_lane(); }

 private:
  const P* p_;
};

// Fills in the size.
template <class Record>
void put(Lane& lane, Record record) {
  static_assert(sizeof(Record) % 8 == 0);
  auto* room = static_cast<Record*>(begin_record(lane, sizeof(Record)));
  if (room == nullptr) return;
  record.head.size = sizeof(Record);
  *room = record;
  end_record(lane, sizeof(Record));
}

// With text behind it, ended by a zero byte.
template <class Record>
void put(Lane& lane, Record record, const char* text, std::size_t length) {
  constexpr std::size_t most = STACKTIDE_TRACE_CHUNK_SIZE / 2;
  if (length > most) length = most;
  const auto size = static_cast<std::uint16_t>((sizeof(Record) + length + 8) & ~std::size_t{7});
  auto* room = static_cast<char*>(begin_record(lane, size));
  if (room == nullptr) return;
  record.head.size = size;
  *reinterpret_cast<Record*>(room) = record;
  std::memcpy(room + sizeof(Record), text, length);  // zeros behind it: the chunk is new
  end_record(lane, size);
}

void put_text(Lane& lane, std::uint8_t kind, std::uint32_t number, std::uint64_t goroutine, const char* text,
              std::size_t length) {
  put(lane, stacktide_trace_text{{kind, 0, 0, number, EventClock::now(), goroutine}}, text, length);
}

// ---- Modules ----

constinit unsigned long long modules_added = 0;  // the loader's count when they were last recorded

void read_build_id(const dl_phdr_info& info, const ElfW(Phdr) & segment, stacktide_trace_module& out) {
  const char* at = reinterpret_cast<const char*>(info.dlpi_addr + segment.p_vaddr);
  const char* end = at + segment.p_memsz;
  while (end - at >= static_cast<std::ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof note);
    const std::size_t name = (note.n_namesz + 3U) & ~3U;
    const std::size_t bytes = (note.n_descsz + 3U) & ~3U;
    at += sizeof note;
    if (static_cast<std::size_t>(end - at) < name + bytes) return;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(at, "GNU", 4) == 0 &&
        note.n_descsz <= sizeof out.build_id) {
      out.build_id_size = note.n_descsz;
      std::memcpy(out.build_id, at + name, note.n_descsz);
      return;
    }
    at += name + bytes;
  }
}

int record_module(dl_phdr_info* info, std::size_t, void* is_first) {
  auto& first = *static_cast<bool*>(is_first);
  char executable[kPath] = "";
  const char* name = info->dlpi_name;
  if (first) {
    first = false;
    // The count is of the whole process; the first entry, the executable, tells it as well as any.
    if (info->dlpi_adds == modules_added) return 1;
    modules_added = info->dlpi_adds;
    const ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
    if (length > 0) name = executable;
  }
  if (name == nullptr || name[0] != '/') return 0;  // the vdso
  stacktide_trace_module module{};
  module.head = {STACKTIDE_TRACE_MODULE, 0, 0, 0, EventClock::now(), 0};
  module.bias = info->dlpi_addr;
  for (ElfW(Half) i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type == PT_NOTE) read_build_id(*info, segment, module);
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const std::uint64_t lo = info->dlpi_addr + segment.p_vaddr;
    if (module.hi == 0) module.lo = lo;
    module.hi = lo + segment.p_memsz;
  }
  std::lock_guard guard(shared_lane_lock);
  put(shared_lane(), module, name, std::strlen(name));
  return 0;
}

// From the recorder's thread, and at both ends.
void record_modules() {
  static std::mutex lock;
  std::lock_guard guard(lock);
  bool first = true;
  if (is_recording()) dl_iterate_phdr(record_module, &first);
}

// ---- Both ends ----

void put_command_line(Lane& lane) {
  char text[kPath];
  const int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t length = read(file, text, sizeof text);
  close(file);
  // Each argument ends with a zero byte.
  if (length > 0 && text[length - 1] == 0) --length;
  for (ssize_t i = 0; i < length; ++i) {
    if (text[i] == 0) text[i] = ' ';
  }
  if (length > 0) put_text(lane, STACKTIDE_TRACE_COMMAND, 0, 0, text, static_cast<std::size_t>(length));
}

void put_names(Lane& lane) {
  const auto put_reason = [&](const char* enumeration, std::uint32_t value, const char* text) {
    if (std::strcmp(enumeration, "wait_reason") == 0)
      put_text(lane, STACKTIDE_TRACE_NAME, value, 0, text, std::strlen(text));
  };
#define STACKTIDE_NAME(enumeration, enumerator, value, text) put_reason(#enumeration, value, text);
  STACKTIDE_ENUMS(STACKTIDE_NAME)
#undef STACKTIDE_NAME
}

// "%p" is the process id, "%%" a percent sign.
void expand_path(const char* pattern) {
  std::size_t length = 0;
  for (const char* at = pattern; *at != 0 && length + 16 < kPath; ++at) {
    if (at[0] == '%' && at[1] == 'p') {
      length += static_cast<std::size_t>(std::snprintf(path + length, 16, "%d", getpid()));
      ++at;
    } else {
      path[length++] = *at;
      if (at[0] == '%' && at[1] == '%') ++at;
    }
  }
  path[length] = 0;
}

std::int64_t real_time() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * std::int64_t{1000000000} + now.tv_nsec;
}

// Also of one that runs: what it says may then be of two moments.
#ifdef STACKTIDE_TSAN
[[gnu::no_sanitize("thread")]]
#endif
stacktide_trace_goroutine
state_of(const Goroutine& g, std::uint8_t kind) {
  stacktide_trace_goroutine record{};
  record.head = {kind, 0, 0, 0, EventClock::now(), g.id};
  record.status = g.status.load(std::memory_order_relaxed);
  // Another thread may be freeing segments of one that runs there.
  const bool still = record.status != status_running || &g == current_goroutine();
  record.stack_size = still ? total_size(g) : g.stack_hi - g.stack_lo;
  record.high_water = g.high_water;
  record.bytes_copied = g.bytes_copied;
  record.grows = g.grows;
  record.links = g.links;
  record.shrinks = g.shrinks;
  record.hot_splits = g.hot_splits;
  record.wait_reason = g.wait_reason;
  if (record.status == status_waiting || record.status == status_syscall) record.since = g.wait_since;
  return record;
}

// Main has returned, and every other goroutine runs on until it parks or ends. One that has told main that it is done and is
// about to end must not count as left behind.
void let_others_rest() {
  constexpr std::int64_t patience = 100'000'000;
  if (current_goroutine() != nullptr || !scheduler.stopping.load(std::memory_order_relaxed)) return;
  const std::int64_t until = clock_now() + patience;
  while (scheduler.idle_ps.load(std::memory_order_seq_cst) != scheduler.max_procs && clock_now() < until) usleep(100);
}

void end_at_exit() {
  record_modules();
  let_others_rest();
  end_recording("exit");
}

}  // namespace

void start_recording(TraceFileOptions options) {
  if (options.path == nullptr) return;
  expand_path(options.path);
  options.path = path;
  stacktide_trace_header header{};
  header.started = clock_now();
  header.started_realtime = real_time();
  header.max_procs = scheduler.max_procs;
  header.policy = scheduler.policy;
  header.min_stack = scheduler.min_stack;
  header.segment_size = scheduler.segment_size;
  header.max_stack = scheduler.max_stack;
  if (!open_trace_file(options, header)) {
    std::fprintf(stderr,
                 "stacktide: %s is being written by another process: this one, %d, is not recorded "
                 "(STACKTIDE_TRACE=FILE.%%p makes a file for each)\n",
                 path, getpid());
    return;
  }
  lanes = new Lane[scheduler.max_procs + 1]{};
  for (std::uint32_t i = 0; i <= scheduler.max_procs; ++i) lanes[i].number = static_cast<std::uint16_t>(i);
  prepare_call_chains();
  put_command_line(shared_lane());
  put_names(shared_lane());
  recording.store(true, std::memory_order_release);
  record_modules();
  start_trace_thread(record_modules);
  std::atexit(end_at_exit);
  pthread_atfork(nullptr, nullptr, [] { recording.store(false, std::memory_order_relaxed); });
}

std::uint32_t stack_chain(const Goroutine& g, std::uint64_t pc, std::uint64_t caller) {
  return is_recording() ? call_chain(OwnLane(), g, pc, caller) : 0;
}

void record_stack_event(const Event& event, std::uint32_t chain, bool hot) {
  put(OwnLane(),
      stacktide_trace_stack{{static_cast<std::uint8_t>(event.kind), static_cast<std::uint8_t>(hot ? STACKTIDE_TRACE_HOT : 0),
                             0, chain, event.time, event.goroutine},
                            event.old_size,
                            event.new_size,
                            event.used,
                            event.duration,
                            event.adjusted,
                            event.scanned});
}

void record_spawn(const Goroutine& g, bool main) {
  const OwnLane lane;
  const Goroutine* parent = current_goroutine();
  // The parent's context is that of its call of go(), unless library code called back.
  const std::uint32_t chain = parent != nullptr && stacktide_thread.calling != 0
                                  ? call_chain(lane, *parent, g.creation_pc, 0)
                                  : call_chain(lane, g.creation_pc);
  put(lane, stacktide_trace_spawn{{STACKTIDE_TRACE_SPAWN, static_cast<std::uint8_t>(main ? STACKTIDE_TRACE_MAIN : 0), 0,
                                   chain, EventClock::now(), g.id},
                                  g.parent,
                                  g.entry_pc,
                                  g.creation_pc,
                                  total_size(g)});
}

void record_exit(const Goroutine& g) { put(OwnLane(), state_of(g, STACKTIDE_TRACE_EXIT)); }

void record_park(const Goroutine& g) {
  const OwnLane lane;
  const std::uint32_t chain = call_chain(lane, g, g.caller_pc, 0);
  put(lane, stacktide_trace_park{{STACKTIDE_TRACE_PARK, 0, 0, chain, g.wait_since, g.id},
                                 clamp32(used_bytes(g, g.sp)),
                                 g.wait_reason,
                                 0,
                                 reinterpret_cast<std::uint64_t>(g.wait_object)});
}

void record_ready(const Goroutine& g) {
  const Goroutine* by = current_goroutine();
  put(OwnLane(),
      stacktide_trace_ready{{STACKTIDE_TRACE_READY, 0, 0, 0, EventClock::now(), g.id}, by == nullptr ? 0 : by->id});
}

void record_label(const Goroutine& g) { put_text(OwnLane(), STACKTIDE_TRACE_LABEL, 0, g.id, g.label, std::strlen(g.label)); }

void end_recording(const char* how) {
  if (!is_recording() || ended.exchange(true, std::memory_order_relaxed)) return;
  // The thread that ends the program may hold the lock, and whoever holds it may have been stopped: only so much patience.
  bool locked = false;
  for (int i = 0; i < 1000 && !(locked = shared_lane_lock.try_lock()); ++i) usleep(1000);
  if (!locked) return;
  Lane& lane = shared_lane();
  for_each_goroutine([&](const Goroutine& g) {
    if (g.status.load(std::memory_order_relaxed) == status_dead) return;
    const stacktide_trace_goroutine state = state_of(g, STACKTIDE_TRACE_LIVE);
    if (state.head.goroutine != 0) put(lane, state);
  });
  put_text(lane, STACKTIDE_TRACE_END, 0, 0, how, std::strlen(how));
  shared_lane_lock.unlock();
  close_trace_file();
}

}  // namespace stacktide::runtime

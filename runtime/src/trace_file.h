// The trace file as it is written: chunks of a shared mapping, and lanes that fill them.
//
// Concept (format: abi/stacktide/trace_file.h). Each P has a lane, and threads without a P share one. A lane writes into a
// chunk of the file that is mapped shared, so that what is written is in the file, whatever ends the program. A full chunk
// is unmapped and another taken; a thread of the recorder's own keeps some ready, mapped and with their pages in place, so
// that a writer makes no system call but for giving the old one back. When none is ready the writer makes one itself, or the
// record is counted as lost: STACKTIDE_TRACE_FULL. On a full disk, or beyond STACKTIDE_TRACE_LIMIT, it is lost in either
// case.
//
// Invariants. A record is filled, then `used` is raised over it. A stretch of the file is written before it is mapped: a
// full disk is an error code and not SIGBUS. Writers use no vector registers (stack_growth.h: a segment's release may not).
//
// Rejected: write() from a buffer (SIGKILL takes the buffer along); one mapping of the whole file (its size is unknown, and
// each process has only so much address space to reserve).
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "stacktide/trace_file.h"

namespace stacktide::runtime {

// Chunks that are mapped, and unmapped, together.
struct TraceWindow {
  char* memory;
  std::uint64_t first;  // its first chunk, counted from the file's start
  std::uint32_t left;   // chunks that no lane is done with
};

struct alignas(64) Lane {
  stacktide_trace_chunk* chunk;  // nullptr: none yet
  TraceWindow* window;           // that the chunk lies in
  std::uint32_t used;            // bytes behind the chunk's header
  std::uint32_t sequence;        // of the next chunk
  std::uint16_t number;
};

// Room for a record of `size` bytes, a multiple of 8, behind what the lane has; nullptr when it is lost, which is counted.
void* begin_record(Lane& lane, std::uint32_t size);
// What begin_record() gave is whole now.
inline void end_record(Lane& lane, std::uint32_t size) {
  lane.used += size;
  std::atomic_ref<std::uint32_t>(lane.chunk->used).store(lane.used, std::memory_order_release);
}

struct TraceFileOptions {
  const char* path = nullptr;
  bool waits = true;
  std::uint64_t limit = 0;  // bytes, 0: none
};
// Creates or empties the file and writes `header` into it, but for what belongs to this file's own layout. False, with
// nothing done, when another process is writing it. Ends the program when it cannot be written.
bool open_trace_file(const TraceFileOptions& options, stacktide_trace_header header);
// Starts the thread that keeps chunks ready, and calls `look` whenever it wakes.
void start_trace_thread(void (*look)());
// No chunk is handed out any more; the file's length is cut to those that were.
void close_trace_file();

}  // namespace stacktide::runtime

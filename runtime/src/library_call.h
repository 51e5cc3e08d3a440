// Library calls that last: how the monitor takes the P of a thread that is in one.
//
// Concept. Every call from a goroutine into code without checks passes one place (morestack.S), which publishes {target,
// sequence} in the thread's state with plain stores: nothing that a call of 2 ns would notice. The monitor looks from time
// to time; a call that it sees twice lasts, and its P is given to others. When such a call returns, its thread waits for a
// P, in place, and goes on.
//
// Protocol. `retake` of the thread's state is none, proposed or taken.
//   thread, leaving a call            monitor
//   store library_call = 0            store retake = proposed
//   load retake                       membarrier
//                                     load library_call and sequence
// membarrier is a full barrier in every thread of the process, so either the thread sees the proposal, or the monitor sees
// that the call is over. Both may: then one compare-and-swap decides, proposed -> taken by the monitor (under
// scheduler.lock) or proposed -> none by the thread. Without membarrier (a kernel before 4.14) nothing is taken.
//
// An exception that leaves a call passes the thunk's frame: the personality routine of __morestack ends the call in its
// place. Code that library code calls back runs within the call: it has no P (own_p()), since the monitor may be taking it.
//
// Rejected: an atomic exchange on each way in and out (8 ns for each call, where this costs none); parking the goroutine
// when its call has returned (results in x87 and vector registers would have to be kept where a stack can move; the thread
// is there anyway).
#pragma once

#include <cstdint>

#include "scheduler.h"

namespace stacktide::runtime {

enum Retake : std::uint32_t { retake_none, retake_proposed, retake_taken };

// Finds errno's place in a thread. Once, at start.
void prepare_library_calls();
// The thread of `m` is seen in the call number `sequence`: takes its P for others if it still is. False: the call is over.
bool retake_p(M& m, std::uint64_t sequence);

// A call of `function`, on the system stack already, that may last: published while the object lives.
class LibraryCall {
 public:
  explicit LibraryCall(std::uint64_t function);
  ~LibraryCall();
  LibraryCall(const LibraryCall&) = delete;
  LibraryCall& operator=(const LibraryCall&) = delete;
};

// Ends the library call that this thread is in: it is unwound.
void leave_library_call();

}  // namespace stacktide::runtime

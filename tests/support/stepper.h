// One thread of a running program, taken through it instruction by instruction while its other threads run on.
//
// Concept. ptrace on that thread alone. No breakpoints: the other threads would run into them. A step costs some
// microseconds, so a test can afford to step through whatever lies between the places that it looks at.
#pragma once

#include <sys/types.h>

#include "stacktide/core/target.h"

namespace stacktide::test {

// The thread of this process that waits in read(0, ...); waits until there is one. Throws when none gets there.
pid_t reading_thread(pid_t pid);

class Stepper {
 public:
  // Stops the thread that is in read(0, ...), which it stays in until there is input. Throws when none gets there, or when
  // it may not be traced.
  explicit Stepper(pid_t pid);
  // Lets the thread run on.
  ~Stepper();
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  // Executes one instruction; signals reach the thread. Throws when the thread has ended.
  void step();
  Registers registers() const;

 private:
  pid_t thread_ = 0;
  int signal_ = 0;  // to be delivered with the next step
};

}  // namespace stacktide::test

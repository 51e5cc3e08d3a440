// Functions that tests/fuzz/loops.py wrote, compiled twice: as goroutine code, and as ordinary code whose results are right.
#pragma once

#include <cstddef>

struct Loop {
  int number;
  unsigned long (*function)(long lo, unsigned long seed);
};

// The functions of one file; they register themselves before main.
class Loops {
 public:
  Loops(bool checked, const Loop* loops, std::size_t count) : begin_(loops), end_(loops + count), next_(first(checked)) {
    first(checked) = this;
  }
  const Loop* begin() const { return begin_; }
  const Loop* end() const { return end_; }
  const Loops* next() const { return next_; }
  static const Loops*& first(bool checked);

 private:
  const Loop* begin_;
  const Loop* end_;
  const Loops* next_;
};

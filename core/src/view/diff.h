// What `diff` says: two tables for people, and JSON of the schema "stacktide-diff/1".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyze/diff.h"
#include "view/text.h"

namespace stacktide {

struct DiffModel {
  const Moment& before;
  const Moment& after;
  const MomentDiff& diff;
  std::size_t limit = 0;  // rows of each table, 0 all
  bool frames = false;    // the frames of each group below the table
  std::vector<std::string> notes;
};

std::string diff_text(const DiffModel& model, const Style& style);
std::string diff_json(const DiffModel& model);

// "12 goroutines more than before, limit 10 (--max-new): +12 in worker (park.cpp:34) [chan receive], ..."
std::string finding_text(const DiffFinding& finding);
// "+24,576", "-3", "0".
std::string signed_text(std::int64_t value);

}  // namespace stacktide

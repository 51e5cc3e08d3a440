// What `trace advise` says: for people, and JSON of the schema "stacktide-advice/1".
#pragma once

#include <string>
#include <vector>

#include "analyze/advice.h"
#include "trace/recording.h"
#include "view/text.h"

namespace stacktide {

struct AdviceModel {
  const RecordingInfo& info;
  const Advice& advice;
  std::size_t limit = 0;  // entries, and rows of each other list; 0 all
};

std::string advice_text(const AdviceModel& model, const Style& style);
std::string advice_json(const AdviceModel& model);

// "start goroutines of `worker` at 8 KiB: saves 98% of ..."; why not, where nothing is recommended.
std::string recommendation_text(const EntryAdvice& advice);
// What to do about a hot split under this policy (a value of abi.h's), and about thrash.
std::string split_cure(std::uint32_t policy, std::uint64_t segment_size);
std::string thrash_cure(const CallAdvice& call);

}  // namespace stacktide

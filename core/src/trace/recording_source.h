// A trace file as a source of records to judge.
#pragma once

#include <string>

#include "trace/recorded_names.h"
#include "trace/recording.h"
#include "trace/trace_source.h"

namespace stacktide {

class RecordingSource : public TraceSource {
 public:
  // The recording outlives it.
  explicit RecordingSource(const Recording& recording);
  const TraceFacts& facts() const override { return facts_; }
  void visit(const std::function<void(const stacktide_trace_head&)>& visitor) override;
  TraceNames& names() override { return names_; }
  // Of names that could not be had, a line each.
  const std::vector<std::string>& warnings() const { return names_.warnings(); }

 private:
  const Recording& recording_;
  RecordedNames names_;
  TraceFacts facts_;
};

}  // namespace stacktide

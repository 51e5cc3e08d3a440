#include "trace/recording_source.h"

#include <fmt/format.h>
#include <sys/wait.h>

namespace stacktide {
namespace {

std::string no_end(const std::optional<int>& status) {
  if (status && WIFSIGNALED(*status))
    return fmt::format("the trace has no end: the program was killed by signal {}", WTERMSIG(*status));
  if (status && WIFEXITED(*status))
    return fmt::format("the trace has no end: the program left with status {} before it was written", WEXITSTATUS(*status));
  return "the trace has no end: the program was killed, or still runs";
}

}  // namespace

RecordingSource::RecordingSource(const Recording& recording) : recording_(recording), names_(recording) {
  const auto& info = recording.info();
  facts_.name = info.path;
  facts_.end = info.end;
  facts_.lost = info.header.lost;
  facts_.first = info.first;
  facts_.last = info.last;
  facts_.began = info.header.started_realtime;
  facts_.incomplete = info.damage;
  if (facts_.lost != 0)
    facts_.incomplete.push_back(fmt::format("{} lost: there was no room for {}",
                                            facts_.lost == 1 ? "1 record is" : fmt::format("{} records are", facts_.lost),
                                            facts_.lost == 1 ? "it" : "them"));
  if (info.end.empty()) facts_.incomplete.push_back(no_end(info.status));
}

void RecordingSource::visit(const std::function<void(const stacktide_trace_head&)>& visitor) {
  recording_.visit([&](const TraceRecord& record) { visitor(*record.head); });
}

}  // namespace stacktide

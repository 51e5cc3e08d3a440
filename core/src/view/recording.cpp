#include "view/recording.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include "analyze/event_text.h"

namespace stacktide {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::string status_text(int status) {
  if (WIFSIGNALED(status)) return fmt::format("killed by signal {}", WTERMSIG(status));
  return fmt::format("status {}", WEXITSTATUS(status));
}

// "2026-11-27 13:40:01 UTC"; "" for a time that is not known, or not one of our era.
std::string date_text(std::int64_t realtime) {
  constexpr std::int64_t kYear9999 = 253'402'300'799;
  if (realtime <= 0 || realtime / kSecond > kYear9999) return "";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(realtime / kSecond)));
}

std::string program_text(const RecordingInfo& info) {
  const auto& header = info.header;
  auto text = fmt::format("{} (process {}", info.command.empty() ? "unknown" : info.command, header.pid);
  if (const auto policy = policy_name(header.policy); !policy.empty()) text += fmt::format(", policy {}", policy);
  return text + fmt::format(", {}, stacks from {} to {})", plural(header.max_procs, "P"), size_text(header.min_stack),
                            size_text(header.max_stack));
}

}  // namespace

std::int64_t origin_of(const RecordingInfo& info) {
  const auto started = info.header.started;
  return started != 0 && started <= info.first ? started : info.first;
}

std::string end_text(const RecordingInfo& info) {
  if (!info.end.empty()) return info.status ? fmt::format("{}, {}", info.end, status_text(*info.status)) : info.end;
  if (!info.status) return std::string(kNoEnd);
  return fmt::format(
      "the trace has no end: the program ended with {}; it is read up to its last complete record",
      WIFSIGNALED(*info.status) ? fmt::format("signal {}", WTERMSIG(*info.status)) : status_text(*info.status));
}

void add_recording(Table& table, const RecordingInfo& info, const Style& style) {
  const auto row = [&](std::string_view label, std::string text) { table.row({bold(label, style), std::move(text)}); };
  row("recording", fmt::format("{}: {} in {}", info.path, plural(info.records, "record"), size_text(info.size)));
  row("program", program_text(info));
  const auto date = date_text(info.header.started_realtime);
  row("time", fmt::format("{}{}{}", date, date.empty() ? "" : ", for ", duration(info.last - origin_of(info))));
  row("end", end_text(info));
  row("lost",
      info.header.lost == 0 ? "nothing" : fmt::format("{}: the buffer was full", plural(info.header.lost, "record")));
  for (const auto& line : info.damage) row("damage", line);
}

std::string place_text(const TracePlace& place) {
  return place.function.empty() ? "" : place_of(short_name(place.function), place.file, place.line, 0);
}

Json place_json(const TracePlace& place) {
  if (place.function.empty()) return nullptr;
  return {{"function", place.function}, {"file", place.file}, {"line", place.line}};
}

Json recording_json(const RecordingInfo& info) {
  const auto& header = info.header;
  const auto origin = origin_of(info);
  return {{"path", info.path},
          {"size", info.size},
          {"records", info.records},
          {"chunks", info.chunks},
          {"command", info.command},
          {"pid", header.pid},
          {"started", origin},
          {"started_realtime", header.started_realtime},
          {"duration", info.last - origin},
          {"policy", policy_name(header.policy)},
          {"max_procs", header.max_procs},
          {"min_stack", header.min_stack},
          {"segment_size", header.segment_size},
          {"max_stack", header.max_stack},
          {"end", info.end.empty() ? Json(nullptr) : Json(info.end)},
          {"status", info.status ? Json(*info.status) : Json(nullptr)},
          {"lost", header.lost},
          {"damage", info.damage}};
}

Json growth_json(const Growth& growth, const RecordingInfo& info) {
  Json longest = nullptr;
  if (growth.longest != 0) {
    longest = {{"nanoseconds", growth.longest},
               {"time", growth.longest_time - origin_of(info)},
               {"goroutine", growth.longest_goroutine}};
  }
  return {{"grows", growth.grows},
          {"shrinks", growth.shrinks},
          {"links", growth.links},
          {"hot_splits", growth.hot_splits},
          {"releases", growth.releases},
          {"thrash", growth.thrash},
          {"bytes_copied", growth.bytes_copied},
          {"nanoseconds", growth.nanoseconds},
          {"longest", std::move(longest)},
          {"largest", growth.largest}};
}

}  // namespace stacktide

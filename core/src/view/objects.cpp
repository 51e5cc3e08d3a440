#include "view/objects.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "view/text.h"

namespace stacktide {
namespace {

Json to_json(const Waiting& waiting) {
  return {{"count", waiting.count},
          {"goroutines", waiting.goroutines},
          {"damage", waiting.problem.empty() ? Json(nullptr) : Json(waiting.problem)}};
}

std::string channel_text(const ObjectReport& report) {
  if (report.address == 0) return "nil";
  return fmt::format("len {} cap {}{}{}{}", report.length, report.capacity, report.closed ? ", closed" : "",
                     waiting_text(report.receivers, "receiver"), waiting_text(report.senders, "sender"));
}

}  // namespace

std::string waiting_text(const Waiting& waiting, const char* who) {
  std::string text;
  if (waiting.count != 0) {
    const std::string_view noun = who;
    text =
        noun.empty() ? fmt::format(", {} waiting", waiting.count) : fmt::format(", {} waiting", plural(waiting.count, noun));
    const auto& named = waiting.goroutines;
    const auto more = waiting.count - std::min<std::uint64_t>(waiting.count, named.size());
    if (!named.empty()) {
      text += fmt::format(" (goroutine{} {}{})", named.size() == 1 && more == 0 ? "" : "s", fmt::join(named, ", "),
                          more == 0 ? "" : fmt::format(" and {} more", more));
    }
  }
  return waiting.problem.empty() ? text : text + ", damaged: " + waiting.problem;
}

std::string object_text(const ObjectReport& report) {
  if (report.type == "channel") return channel_text(report);
  if (report.type == "mutex") return (report.locked ? "locked" : "unlocked") + waiting_text(report.waiters, "");
  if (report.type == "wait_group") return fmt::format("{}{}", report.count, waiting_text(report.waiters, ""));
  if (report.type == "poll_descriptor") return fmt::format("fd {}", report.fd);
  return report.text;
}

std::string object_with_type(const ObjectReport& report) {
  if (report.type == "goroutine") return report.text;
  return fmt::format("{}{} {}", report.type, report.type == "wait_group" ? "" : ",", report.text);
}

Json to_json(const ObjectReport& report) {
  Json json = {{"type", report.type}, {"address", hex(report.address)}, {"text", report.text}};
  if (report.type == "channel") {
    json["length"] = report.length;
    json["capacity"] = report.capacity;
    json["closed"] = report.closed;
    json["receivers"] = to_json(report.receivers);
    json["senders"] = to_json(report.senders);
  } else if (report.type == "goroutine") {
    json["goroutine"] = report.goroutine;
  } else if (report.type == "poll_descriptor") {
    json["fd"] = report.fd;
  } else {
    if (report.type == "mutex") json["locked"] = report.locked;
    if (report.type == "wait_group") json["count"] = report.count;
    json["waiters"] = to_json(report.waiters);
  }
  return json;
}

}  // namespace stacktide

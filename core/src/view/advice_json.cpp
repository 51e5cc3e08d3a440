// JSON of `trace advise`: "stacktide-advice/1".
#include <algorithm>

#include "view/advice.h"
#include "view/json.h"

namespace stacktide {
namespace {

constexpr std::string_view kAdviceSchema = "stacktide-advice/1";

Json to_json(const TracePlace& place) { return {{"function", place.function}, {"file", place.file}, {"line", place.line}}; }

Json to_json(const Growth& growth) {
  return {{"grows", growth.grows},
          {"links", growth.links},
          {"hot_splits", growth.hot_splits},
          {"shrinks", growth.shrinks},
          {"releases", growth.releases},
          {"thrash", growth.thrash},
          {"bytes_copied", growth.bytes_copied},
          {"nanoseconds", growth.nanoseconds},
          {"largest", growth.largest}};
}

Json to_json(const EntryAdvice& advice) {
  auto histogram = Json::array();
  for (const auto& bucket : advice.high_water.histogram)
    histogram.push_back({{"upto", bucket.upto}, {"goroutines", bucket.goroutines}});
  auto options = Json::array();
  for (const auto& option : advice.options) {
    options.push_back({{"size", option.size},
                       {"grows_saved", option.grows_saved},
                       {"shrinks_saved", option.shrinks_saved},
                       {"bytes_saved", option.bytes_saved},
                       {"nanoseconds_saved", option.nanoseconds_saved},
                       {"more_each", option.more_each},
                       {"more", option.more},
                       {"reach", option.reach}});
  }
  auto json = to_json(advice.entry);
  json["goroutines"] = advice.goroutines;
  json["most_alive"] = advice.most_alive;
  json["growth"] = to_json(advice.growth);
  json["high_water"] = {{"p50", advice.high_water.p50},
                        {"p90", advice.high_water.p90},
                        {"p99", advice.high_water.p99},
                        {"max", advice.high_water.most},
                        {"histogram", std::move(histogram)}};
  json["options"] = std::move(options);
  json["recommended"] = advice.recommended ? Json(advice.options[*advice.recommended].size) : Json(nullptr);
  json["text"] = recommendation_text(advice);
  return json;
}

Json call_json(const CallAdvice& call, const std::string& cure) {
  return {{"function", to_json(call.function)},
          {"caller", to_json(call.caller)},
          {"growth", to_json(call.growth)},
          {"cure", cure}};
}

}  // namespace

std::string advice_json(const AdviceModel& model) {
  const auto& advice = model.advice;
  const auto shown = [&](std::size_t all) { return model.limit == 0 ? all : std::min(model.limit, all); };
  Json json = {{"schema", kAdviceSchema},  {"trace", model.info.path},   {"first_size", advice.first_size},
               {"entries", Json::array()}, {"all", to_json(advice.all)}, {"hot_splits", Json::array()},
               {"thrash", Json::array()}};
  for (std::size_t i = 0; i < shown(advice.entries.size()); ++i) json["entries"].push_back(to_json(advice.entries[i]));
  for (std::size_t i = 0; i < shown(advice.splits.size()); ++i)
    json["hot_splits"].push_back(
        call_json(advice.splits[i], split_cure(model.info.header.policy, model.info.header.segment_size)));
  for (std::size_t i = 0; i < shown(advice.thrashing.size()); ++i)
    json["thrash"].push_back(call_json(advice.thrashing[i], thrash_cure(advice.thrashing[i])));
  json["damage"] = model.info.damage;
  return dump(json);
}

}  // namespace stacktide

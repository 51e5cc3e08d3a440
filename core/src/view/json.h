// The JSON views: one versioned schema, "stacktide/1". Addresses are strings, sizes numbers; names as in abi.h and
// snapshot.h.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "analyze/places.h"
#include "analyze/stack_report.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

using Json = nlohmann::ordered_json;

inline constexpr std::string_view kSchema = "stacktide/1";

// {"schema":...,"target":{...}}: how each document begins.
Json json_head(const Snapshot& snapshot);
Json json_head(const Target& target);  // where there may be no snapshot
Json to_json(const Goroutine& goroutine);
Json to_json(const Backtrace& backtrace);  // {"frames":[...],"complete":...,"stop_reason":...}
Json to_json(const StackReport& report, std::optional<bool> canary_intact);
Json to_json(const Machine& machine);
Json to_json(const OsThread& thread);
Json to_json(const Processor& processor);
Json to_json(const Scheduler& scheduler);
Json to_json(const StackEvent& event);
Json to_json(const StackMapsInfo& maps);
Json to_json(const HotSplit& split);
Json to_json(const Place& place);
Json to_json(const Runtime& runtime);
Json to_json(const Counts& counts);
Json to_json(const Error& error);
// A document {head..., "name": [...], tail...} with a long list, written one element at a time: a tree of 100,000 goroutines
// would cost ten times the memory of its text.
class JsonList {
 public:
  JsonList(const Json& head, std::string_view name);
  void add(const Json& element);
  std::string finish(const Json& tail);

 private:
  std::string text_;
  bool empty_ = true;
};
// One line, ending with '\n'. Bytes that are no UTF-8 become U+FFFD.
std::string dump(const Json& json);

}  // namespace stacktide

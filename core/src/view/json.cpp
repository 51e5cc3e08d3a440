#include "view/json.h"

#include "view/text.h"

namespace stacktide {
namespace {

Json address_or_null(Address address) { return address == 0 ? Json(nullptr) : Json(hex(address)); }

// null when there is none, so that a reader need not tell an empty list from a missing one.
Json damage_json(const std::vector<Error>& damage) {
  if (damage.empty()) return nullptr;
  auto list = Json::array();
  for (const auto& error : damage) list.push_back(to_json(error));
  return list;
}

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json segments_json(const Stack& stack) {
  auto list = Json::array();
  for (const auto& segment : stack.segments) {
    list.push_back({{"lo", hex(segment.lo)},
                    {"hi", hex(segment.hi)},
                    {"sp", address_or_null(segment.sp)},
                    {"pc", address_or_null(segment.pc)},
                    {"size", segment.size()},
                    {"used", segment.used()},
                    {"function", segment.function},
                    {"file", segment.file},
                    {"line", segment.line}});
  }
  return list;
}

Json stack_json(const Stack& stack) {
  const bool known = stack.sp != 0;
  return {{"lo", hex(stack.lo)},
          {"hi", hex(stack.hi)},
          {"size", stack.size},
          {"guard", address_or_null(stack.guard)},
          {"guard_state", guard_state_name(stack.guard_state)},
          {"guard_slot", address_or_null(stack.guard_slot)},
          {"sp", address_or_null(stack.sp)},
          {"used", known ? Json(stack.used) : Json(nullptr)},
          {"headroom", known ? value_or_null(stack.headroom) : Json(nullptr)},
          {"high_water", value_or_null(stack.high_water)},
          {"segments", segments_json(stack)},
          {"pinned_pc", address_or_null(stack.pinned_pc)},
          {"pinned_by", stack.pinned_by},
          {"pinned_variable", stack.pinned_variable},
          {"pinned_type", stack.pinned_type},
          {"moving_from", address_or_null(stack.moving_from)},
          {"moving_to", address_or_null(stack.moving_to)}};
}

}  // namespace

Json json_head(const Snapshot& snapshot) {
  return {{"schema", kSchema},
          {"target", {{"description", snapshot.target}, {"kind", target_kind_name(snapshot.kind)}, {"pid", snapshot.pid}}}};
}

Json json_head(const Target& target) {
  return {
      {"schema", kSchema},
      {"target", {{"description", target.description()}, {"kind", target_kind_name(target.kind())}, {"pid", target.pid()}}}};
}

Json to_json(const Goroutine& g) {
  return {{"id", g.id},
          {"status", g.status},
          {"wait_reason", g.wait_reason},
          {"function", g.function},
          {"file", g.file},
          {"line", g.line},
          {"entry", g.entry},
          {"stack", stack_json(g.stack)},
          {"grows", value_or_null(g.grows)},
          {"shrinks", value_or_null(g.shrinks)},
          {"links", value_or_null(g.links)},
          {"hot_splits", value_or_null(g.hot_splits)},
          {"bytes_copied", value_or_null(g.bytes_copied)},
          {"label", g.label},
          {"address", hex(g.address)},
          {"system", g.system},
          {"locked", g.locked},
          {"wait_ns", value_or_null(g.wait_ns)},
          {"wait_object", address_or_null(g.wait_object)},
          {"m", g.has_m ? Json(g.m) : Json(nullptr)},
          {"tid", g.tid == 0 ? Json(nullptr) : Json(g.tid)},
          {"parent", g.parent},
          {"created_by", g.created_by},
          {"created_file", g.created_file},
          {"created_line", g.created_line},
          {"damage", damage_json(g.damage)}};
}

Json to_json(const Backtrace& backtrace) {
  auto frames = Json::array();
  for (std::size_t level = 0; level < backtrace.frames.size(); ++level) {
    const auto& frame = backtrace.frames[level];
    frames.push_back({{"level", level},
                      {"pc", hex(frame.pc)},
                      {"sp", hex(frame.sp)},
                      {"cfa", hex(frame.cfa)},
                      {"size", frame.size},
                      {"segment", value_or_null(frame.segment)},
                      {"inlined", frame.inlined},
                      {"exact_pc", frame.exact_pc},
                      {"runtime", frame.runtime},
                      {"function", frame.function},
                      {"symbol", frame.symbol},
                      {"offset", frame.offset},
                      {"args", frame.args},
                      {"file", frame.file},
                      {"line", frame.line},
                      {"module", frame.module}});
  }
  return {{"frames", std::move(frames)}, {"complete", backtrace.complete}, {"stop_reason", backtrace.stop_reason}};
}

Json to_json(const StackReport& report, std::optional<bool> canary_intact) {
  return {{"next_check", report.next_check},
          {"will_shrink", value_or_null(report.will_shrink)},
          {"shrink", report.shrink},
          {"canary_intact", value_or_null(canary_intact)}};
}

Json to_json(const Machine& m) {
  return {{"id", m.id},
          {"address", hex(m.address)},
          {"tid", m.tid},
          {"status", m.status},
          {"goroutine", m.goroutine == 0 ? Json(nullptr) : Json(m.goroutine)},
          {"p", value_or_null(m.p)},
          {"call", m.call.empty() ? Json(nullptr) : Json(m.call)},
          {"stack_lo", hex(m.stack_lo)},
          {"stack_hi", hex(m.stack_hi)},
          {"guard_size", m.guard_size},
          {"sp", address_or_null(m.sp)},
          {"damage", damage_json(m.damage)}};
}

Json to_json(const OsThread& thread) {
  return {{"tid", thread.tid},
          {"name", thread.name},
          {"m", value_or_null(thread.m)},
          {"stack_lo", address_or_null(thread.stack_lo)},
          {"stack_hi", address_or_null(thread.stack_hi)},
          {"guard_size", thread.guard_size},
          {"sp", address_or_null(thread.sp)},
          {"cpu", thread.cpu ? Json(*thread.cpu) : Json(nullptr)}};
}

Json to_json(const Processor& p) {
  return {{"id", p.id},
          {"address", hex(p.address)},
          {"status", p.status},
          {"m", value_or_null(p.m)},
          {"run_next", p.run_next == 0 ? Json(nullptr) : Json(p.run_next)},
          {"run_queue", p.run_queue},
          {"ticks", p.ticks},
          {"damage", damage_json(p.damage)}};
}

Json to_json(const Scheduler& scheduler) {
  auto json = Json::object();
  for (const auto& [name, value] : scheduler.values) {
    const bool address = name.starts_with("arena_") || name == "global_head";
    json[name] = address ? Json(hex(value)) : Json(value);
  }
  json["policy"] = scheduler.policy;
  json["global_queue"] = scheduler.global_queue;
  json["damage"] = damage_json(scheduler.damage);
  return json;
}

Json to_json(const StackEvent& event) {
  return {{"time", event.time},
          {"goroutine", event.goroutine},
          {"kind", event.kind},
          {"old_lo", address_or_null(event.old_lo)},
          {"new_lo", address_or_null(event.new_lo)},
          {"old_size", event.old_size},
          {"new_size", event.new_size},
          {"used", event.used},
          {"adjusted", event.adjusted},
          {"scanned", event.scanned},
          {"duration", event.duration},
          {"pc", address_or_null(event.pc)},
          {"function", event.function},
          {"file", event.file},
          {"line", event.line},
          {"caller", address_or_null(event.caller)},
          {"ring", event.ring},
          {"number", event.number}};
}

Json to_json(const StackMapsInfo& maps) {
  return {{"address", address_or_null(maps.address)},
          {"size", maps.size},
          {"adjust", maps.adjust},
          {"walks", maps.walks},
          {"complete", maps.complete},
          {"frames", maps.frames},
          {"words_skipped", maps.words_skipped},
          {"words_checked", maps.words_checked},
          {"words_scanned", maps.words_scanned},
          {"lookalikes", maps.lookalikes}};
}

Json to_json(const HotSplit& split) {
  return {{"pc", address_or_null(split.pc)},
          {"caller", address_or_null(split.caller)},
          {"count", split.count},
          {"allocated", split.allocated},
          {"bytes", split.bytes},
          {"function", split.function},
          {"file", split.file},
          {"line", split.line},
          {"caller_function", split.caller_function},
          {"caller_file", split.caller_file},
          {"caller_line", split.caller_line}};
}

Json to_json(const Runtime& runtime) {
  return {{"version", runtime.version},     {"producer", runtime.producer},   {"descriptor", hex(runtime.descriptor)},
          {"abi_major", runtime.abi_major}, {"abi_minor", runtime.abi_minor}, {"constants", runtime.constants},
          {"contracts", runtime.contracts}, {"disabled", runtime.disabled},   {"type_sizes", runtime.type_sizes}};
}

Json to_json(const Counts& counts) { return {{"total", counts.total}, {"read", counts.read}, {"skipped", counts.skipped}}; }

Json to_json(const Error& error) {
  return {{"code", code_name(error.code)}, {"address", address_or_null(error.address)}, {"text", describe(error)}};
}

JsonList::JsonList(const Json& head, std::string_view name) : text_(dump(head)) {
  text_.resize(text_.size() - 2);  // "}\n"
  text_ += ',' + Json(name).dump() + ":[";
}

void JsonList::add(const Json& element) {
  if (!empty_) text_ += ',';
  empty_ = false;
  text_ += element.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string JsonList::finish(const Json& tail) {
  text_ += "],";
  text_ += std::string_view(dump(tail)).substr(1);
  return std::move(text_);
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace stacktide

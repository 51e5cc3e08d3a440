// Handles and objects: from a type's name and an address to a line of text.
#include "command/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/printable.h"
#include "command/session_access.h"
#include "descriptor/record.h"
#include "view/objects.h"
#include "view/text.h"
#include "walk/objects.h"

namespace stacktide {
namespace {

// The id stands in the record; all else of it comes from the snapshot, where it has been checked.
Result<ObjectReport> read_goroutine(Session& session, Address address) {
  auto* snapshot = STACKTIDE_TRY(session.snapshot());
  const auto& id = SessionAccess::layout(session).goroutine.id;
  std::array<std::byte, 8> raw{};
  if (id.width > raw.size()) return fail(ErrorCode::not_supported, "the id of a goroutine is of unknown layout");
  if (auto done = session.target().memory().read(address + id.offset, std::span(raw).first(id.width)); !done) {
    return fail(done.error().code, "the goroutine is not readable", done.error().address);
  }
  ObjectReport report;
  report.type = "goroutine";
  report.address = address;
  report.goroutine = Record(raw).number({0, id.width, id.kind});
  auto* goroutine = snapshot->find(report.goroutine);
  if (goroutine == nullptr || goroutine->address != address)
    return fail(ErrorCode::damaged_data, fmt::format("no goroutine is there: its id would be {}", report.goroutine),
                address);
  report.text = session.thread_name(*goroutine);
  return report;
}

bool strip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Template arguments as people write them.
std::string readable_type(std::string_view name) {
  constexpr std::string_view kString = "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";
  std::string text(name);
  for (auto at = text.find(kString); at != std::string::npos; at = text.find(kString))
    text.replace(at, kString.size(), "std::string");
  for (auto at = text.find(" >"); at != std::string::npos; at = text.find(" >")) text.erase(at, 1);
  return printable(text);
}

std::string problem_text(const HandleType& type, Address address, const Error& error) {
  return fmt::format("{} {:#x}: {}", type.label, address, describe(error));
}

}  // namespace

Result<ObjectReport> read_object(Session& session, std::string_view type, Address address) {
  if (type == "goroutine") return read_goroutine(session, address);
  const auto* descriptor = STACKTIDE_TRY(SessionAccess::find_descriptor(session));
  auto report =
      STACKTIDE_TRY(read_wait_object(session.target().memory(), *descriptor, SessionAccess::layout(session), type, address));
  report.text = object_text(report);
  return report;
}

std::optional<HandleType> handle_type(std::string_view name) {
  strip(name, "struct ");
  strip(name, "class ");
  if (!strip(name, "stacktide::")) return std::nullopt;
  if (strip(name, "runtime::")) {
    for (const auto& [structure, type] :
         {std::pair("Goroutine", "goroutine"), std::pair("Channel", "channel"), std::pair("Mutex", "mutex"),
          std::pair("WaitGroup", "wait_group"), std::pair("PollDescriptor", "poll_descriptor")}) {
      if (name == structure) return HandleType{type, type, true};
    }
    return std::nullopt;
  }
  if (name.starts_with("channel<") && name.ends_with('>')) return HandleType{readable_type(name), "channel", false};
  for (const char* type : {"mutex", "wait_group", "once"}) {
    if (name == type) return HandleType{type, type, false};
  }
  return std::nullopt;
}

std::string describe_handle(Session& session, const HandleType& type, Address address) {
  const auto report = read_object(session, type.object, address);
  if (!report) return problem_text(type, address, report.error());
  return report->type == "goroutine" ? report->text : fmt::format("{} {}", type.label, report->text);
}

std::string describe_once(Session& session, bool done, Address mutex) {
  const auto report = read_object(session, "mutex", mutex);
  if (!report) return problem_text({"once", "once"}, mutex, report.error());
  const char* state = done ? "done" : report->locked ? "being done" : "not done";
  return fmt::format("once {}{}", state, waiting_text(report->waiters, ""));
}

std::optional<ObjectReport> object_at(Session& session, Snapshot& snapshot, Address address) {
  const auto& layout = SessionAccess::layout(session);
  const auto inside = [&](Address start, std::uint64_t size) {
    return start != 0 && address >= start && address - start < size;
  };
  const auto& all = snapshot.goroutines;
  const auto record =
      std::ranges::find_if(all, [&](const auto& g) { return inside(g.address, layout.goroutine.record_size); });
  if (record != all.end()) {
    if (auto report = read_goroutine(session, record->address)) return *report;
  }
  if (!layout.wait_objects) return std::nullopt;
  std::map<std::string, std::string_view> types;  // by wait reason
  for (const auto& g : all) {
    if (g.wait_object == 0 || address < g.wait_object || address - g.wait_object > kMaxTypeSize) continue;
    const auto [known, fresh] = types.try_emplace(g.wait_reason);
    if (fresh) known->second = wait_object_type(SessionAccess::descriptor(session), g.wait_reason);
    const auto type = known->second;
    const auto size = type == "channel"           ? layout.channel.record_size
                      : type == "mutex"           ? layout.mutex.record_size
                      : type == "wait_group"      ? layout.wait_group.record_size
                      : type == "poll_descriptor" ? layout.poll_descriptor.record_size
                                                  : 0;
    if (!inside(g.wait_object, size)) continue;
    if (auto report = read_object(session, type, g.wait_object)) return *report;
  }
  return std::nullopt;
}

std::string waits_for(Session& session, const Goroutine& goroutine) {
  if (goroutine.wait_object == 0 || goroutine.status != "waiting" || !SessionAccess::layout(session).wait_objects) return "";
  const auto type = wait_object_type(SessionAccess::descriptor(session), goroutine.wait_reason);
  if (type.empty()) return "";
  const auto report = read_object(session, type, goroutine.wait_object);
  return fmt::format("{} {}, {}", type, hex(goroutine.wait_object), report ? report->text : describe(report.error()));
}

}  // namespace stacktide

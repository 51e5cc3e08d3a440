#include "handle_summaries.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "host_target.h"
#include "stacktide/core/objects.h"

namespace stacktide::lldb_plugin {
namespace {

constexpr std::size_t kKeptSessions = 4;
// Buffered values shown; GDB's printers have as many as the user asks GDB for.
constexpr std::size_t kShownValues = 10;

struct Registry {
  std::mutex mutex;
  std::map<lldb::user_id_t, std::weak_ptr<HandleSessions>> by_debugger;
};

// Never destroyed: LLDB may print while the process ends.
Registry& registry() {
  static auto* instance = new Registry;
  return *instance;
}

std::shared_ptr<HandleSessions> sessions_of(lldb::SBTarget target) {
  Registry& all = registry();
  const lldb::user_id_t id = target.GetDebugger().GetID();
  std::lock_guard lock(all.mutex);
  auto found = all.by_debugger.find(id);
  return found == all.by_debugger.end() ? nullptr : found->second.lock();
}

// What a value is, under typedefs, qualifiers and a reference, and behind one pointer.
struct Seen {
  lldb::SBType type;  // of the handle or structure
  bool pointer = false;
};

Seen seen(lldb::SBValue& value) {
  Seen result{value.GetType().GetCanonicalType()};
  if (result.type.IsReferenceType()) result.type = result.type.GetDereferencedType().GetCanonicalType();
  if (result.type.IsPointerType()) {
    result.type = result.type.GetPointeeType().GetCanonicalType();
    result.pointer = true;
  }
  result.type = result.type.GetUnqualifiedType();
  return result;
}

std::optional<std::uint64_t> number(lldb::SBValue value) {
  if (!value.IsValid()) return std::nullopt;
  lldb::SBError error;
  std::uint64_t result = value.GetValueAsUnsigned(error, 0);
  if (error.Fail()) return std::nullopt;
  return result;
}

std::string_view text_or_empty(const char* text) { return text != nullptr ? text : ""; }

// Does a channel keep a value of this type in the word itself? False: the word is its address. Nothing: the debug info does
// not say.
std::optional<bool> lies_in_place(lldb::SBTarget target, lldb::SBType element) {
  if (element.GetByteSize() > 8) return false;
  lldb::SBType canonical = element.GetCanonicalType();
  if (canonical.GetBasicType() != lldb::eBasicTypeInvalid || canonical.IsPointerType() ||
      canonical.GetTypeClass() == lldb::eTypeClassEnumeration) {
    return true;
  }
  std::string name = fmt::format("stacktide::detail::value_word<{}>", text_or_empty(canonical.GetName()));
  lldb::SBType word = target.FindFirstType(name.c_str());
  for (std::uint32_t i = 0; word.IsValid() && i < word.GetNumberOfDirectBaseClasses(); ++i) {
    std::string_view base = text_or_empty(word.GetDirectBaseClassAtIndex(i).GetName());
    if (base == "stacktide::detail::value_in_word") return true;
    if (base == "stacktide::detail::value_in_heap") return false;
  }
  return std::nullopt;
}

std::string value_text(lldb::SBValue& value);

std::string members_text(lldb::SBValue& value) {
  std::string text = "{";
  for (std::uint32_t i = 0; i < value.GetNumChildren() && i < kShownValues; ++i) {
    lldb::SBValue member = value.GetChildAtIndex(i);
    text += fmt::format("{}{} = {}", i == 0 ? "" : ", ", text_or_empty(member.GetName()), value_text(member));
  }
  return text + "}";
}

// As GDB prints it: the summary, else the value, else its members.
std::string value_text(lldb::SBValue& value) {
  if (const char* summary = value.GetSummary(); summary != nullptr && *summary != '\0') return summary;
  if (const char* plain = value.GetValue(); plain != nullptr && *plain != '\0') return plain;
  return value.GetNumChildren() == 0 ? "{}" : members_text(value);
}

// " = {7, 11}"; "" when there are none, or it is not known how they lie there.
std::string values_text(Session& session, lldb::SBTarget target, lldb::SBType type, Address channel) {
  auto report = read_object(session, "channel", channel);
  lldb::SBType element = type.GetTemplateArgumentType(0);
  if (!report || report->values.empty() || !element.IsValid()) return "";
  std::optional<bool> in_place = lies_in_place(target, element);
  if (!in_place) return "";
  std::string text;
  for (std::size_t i = 0; i < std::min(report->values.size(), kShownValues); ++i) {
    Address at = report->values[i];
    if (!*in_place) {
      auto slot = session.target().memory().read_value<Address>(at);
      if (!slot) return "";
      at = *slot;
    }
    lldb::SBValue value = target.CreateValueFromAddress("value", lldb::SBAddress(at, target), element);
    text += (i == 0 ? "" : ", ") + value_text(value);
  }
  return fmt::format(" = {{{}{}}}", text, report->length > kShownValues ? "..." : "");
}

std::optional<std::string> describe_value(Session& session, lldb::SBValue& value) {
  auto [type, pointer] = seen(value);
  auto handle = handle_type(text_or_empty(type.GetName()));
  if (!handle || (pointer && number(value).value_or(0) == 0)) return std::nullopt;
  lldb::SBValue raw = value.GetNonSyntheticValue();
  if (handle->is_object)
    return describe_handle(session, *handle, pointer ? number(value).value_or(0) : value.GetLoadAddress());
  if (handle->object == "once") {
    lldb::SBValue state = raw.GetChildMemberWithName("state_").GetNonSyntheticValue().GetChildMemberWithName("_M_ptr");
    auto done = number(
        state.GetChildMemberWithName("done").GetNonSyntheticValue().GetChildAtIndex(0).GetChildMemberWithName("_M_i"));
    auto mutex = number(state.GetChildMemberWithName("busy").GetNonSyntheticValue().GetChildMemberWithName("core_"));
    if (!done || !mutex) return std::nullopt;
    return describe_once(session, *done != 0, *mutex);
  }
  auto word = number(raw.GetChildMemberWithName("core_"));
  if (!word) return std::nullopt;
  std::string text = describe_handle(session, *handle, *word);
  if (handle->object == "channel" && *word != 0 && !pointer) text += values_text(session, value.GetTarget(), type, *word);
  return text;
}

bool summarize(lldb::SBValue value, lldb::SBTypeSummaryOptions, lldb::SBStream& stream) try {
  lldb::SBTarget target = value.GetTarget();
  lldb::SBProcess process = target.GetProcess();
  auto sessions = sessions_of(target);
  if (sessions == nullptr || !process.IsValid() || !is_readable(process)) return false;
  std::unique_ptr<Session> session = sessions->take(target, process);
  auto text = describe_value(*session, value);
  sessions->give_back(process, std::move(session));
  if (!text) return false;
  stream.Printf("%s", text->c_str());
  return true;
} catch (...) {
  return false;  // LLDB is the caller: nothing may leave
}

}  // namespace

std::unique_ptr<Session> HandleSessions::take(lldb::SBTarget target, lldb::SBProcess process) {
  const std::uint32_t id = process.GetUniqueID();
  const std::uint32_t stop = process.GetStopID();
  {
    std::lock_guard lock(mutex_);
    std::erase_if(kept_, [&](const Kept& kept) { return kept.process == id && kept.stop != stop; });
    auto found = std::ranges::find(kept_, id, &Kept::process);
    if (found != kept_.end()) {
      std::unique_ptr<Session> session = std::move(found->session);
      kept_.erase(found);
      return session;
    }
  }
  return std::make_unique<Session>(std::make_unique<HostTarget>(target, process, HostTargetOptions{.threads = false}));
}

void HandleSessions::give_back(lldb::SBProcess process, std::unique_ptr<Session> session) {
  const std::uint32_t id = process.GetUniqueID();
  const std::uint32_t stop = process.GetStopID();
  std::lock_guard lock(mutex_);
  if (kept_.size() >= kKeptSessions) kept_.erase(kept_.begin());
  kept_.push_back({id, stop, std::move(session)});
}

bool add_handle_summaries(lldb::SBDebugger& debugger, const std::shared_ptr<HandleSessions>& sessions) {
  {
    Registry& all = registry();
    std::lock_guard lock(all.mutex);
    std::erase_if(all.by_debugger, [](const auto& entry) { return entry.second.expired(); });
    all.by_debugger[debugger.GetID()] = sessions;
  }
  lldb::SBTypeCategory category = debugger.CreateCategory("stacktide");
  if (!category.IsValid()) return false;
  lldb::SBTypeSummary summary = lldb::SBTypeSummary::CreateWithCallback(
      summarize, lldb::eTypeOptionCascade | lldb::eTypeOptionHideChildren, "what a stacktide handle stands for");
  for (const char* pattern : {"^stacktide::channel<.+>$", "^stacktide::(mutex|wait_group|once)$",
                              "^stacktide::runtime::(Goroutine|Channel|Mutex|WaitGroup)$"}) {
    if (!category.AddTypeSummary(lldb::SBTypeNameSpecifier(pattern, true), summary)) return false;
  }
  category.SetEnabled(true);
  return true;
}

}  // namespace stacktide::lldb_plugin

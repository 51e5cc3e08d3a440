// Completion: how a partly typed command line may go on. Bounded, since a program may have a million goroutines or
// functions.
#include <fmt/format.h>

#include <algorithm>

#include "command/host_words.h"
#include "command/session_access.h"
#include "command/table.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxIds = 100;  // of those that begin so; a digit more brings others
constexpr std::size_t kMaxFunctions = 1000;
// Takes a function's name or a regular expression, wherever it is offered.
constexpr std::string_view kFunctionOption = "--function";

class Completion {
 public:
  Completion(Session* session, std::string_view partial) : session_(session), partial_(partial) {}

  bool begun() const { return !partial_.empty(); }

  void offer(std::string word) {
    if (word.starts_with(partial_)) found_.push_back(std::move(word));
  }

  void ids() {
    if (session_ == nullptr) return;
    const auto snapshot = session_->snapshot();
    if (!snapshot) return;
    std::size_t count = 0;
    for (const auto& goroutine : (*snapshot)->goroutines) {
      auto id = fmt::format("{}", goroutine.id);
      if (!id.starts_with(partial_)) continue;
      found_.push_back(std::move(id));
      if (++count >= kMaxIds) return;
    }
  }

  void functions() {
    if (session_ == nullptr) return;
    std::ranges::move(SessionAccess::symbolizer(*session_).function_names(partial_, kMaxFunctions),
                      std::back_inserter(found_));
  }

  std::vector<std::string> take() { return std::move(found_); }

 private:
  Session* session_;
  std::string_view partial_;
  std::vector<std::string> found_;
};

// `apply` up to its command, of which the host knows more.
void apply_words(Completion& completion, std::span<const std::string> given) {
  const auto is_id = [](const std::string& word) { return !word.empty() && word[0] >= '0' && word[0] <= '9'; };
  if (given.empty()) completion.offer("all");
  // After the first, a command is as likely as another id: ids only once a digit is there.
  if (given.empty() || (completion.begun() && std::ranges::all_of(given, is_id))) completion.ids();
  if (given.empty()) return;
  for (const char* option : {"-q", "-s"}) {
    if (std::ranges::find(given, option) == given.end()) completion.offer(option);
  }
  for (const auto& entry : command_table()) completion.offer(std::string(entry.info.name));
}

}  // namespace

std::vector<std::string> complete(Session* session, const std::vector<std::string>& words, std::string_view partial) {
  Completion completion(session, partial);
  if (words.empty()) {
    for (const auto& entry : command_table()) completion.offer(std::string(entry.info.name));
    return completion.take();
  }
  if (words.back() == kFunctionOption) {
    completion.functions();
    return completion.take();
  }
  if (words[0] == "apply") {
    apply_words(completion, std::span(words).subspan(1));
    return completion.take();
  }
  const auto* entry = find_command(words[0]);
  if (entry == nullptr) return {};
  if (partial.starts_with("-")) {
    for (const auto& option : entry->options) completion.offer(std::string(option.name));
    return completion.take();
  }
  if (words.size() > 1) return {};
  const auto takes = [&](std::string_view what) { return entry->info.arguments.find(what) != std::string_view::npos; };
  if (takes("all")) completion.offer("all");
  if (takes("ID")) completion.ids();
  if (takes("FUNC") && !partial.empty()) completion.functions();
  return completion.take();
}

}  // namespace stacktide

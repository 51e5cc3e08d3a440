#include "trace/trace_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "stacktide/abi.h"
#include "symbols/owner.h"

namespace stacktide {
namespace {

struct Enumerator {
  std::string_view enumeration;
  std::uint64_t value;
  std::string_view text;
};

#define ENTRY(enumeration, name, value, text) Enumerator{#enumeration, value, text},
constexpr auto kEnumerators = std::to_array<Enumerator>({STACKTIDE_ENUMS(ENTRY)});
#undef ENTRY

TracePlace place_of_level(const TraceLevel& level, std::uint64_t pc) {
  return {level.function.empty() ? fmt::format("{:#x}", pc) : level.function, level.file, level.line};
}

}  // namespace

std::string_view policy_name(std::uint32_t policy) {
  const auto found = std::ranges::find_if(
      kEnumerators, [&](const Enumerator& one) { return one.enumeration == "policy" && one.value == policy; });
  return found == kEnumerators.end() ? "" : found->text;
}

// The rule of analyze/frames.h, with the names that the runtime whose format this is has exported.
bool is_runtime_level(const TraceLevel& level) {
  const auto& name = level.symbol.empty() ? level.function : level.symbol;
  return std::ranges::any_of(kEnumerators, [&](const Enumerator& one) {
    return one.enumeration == "runtime_symbol" && name.starts_with(one.text);
  });
}

bool is_user_level(const TraceLevel& level) { return !is_runtime_level(level) && !is_system_code(level.module, level.file); }

TracePlace TraceNames::needed_room(std::uint32_t number) {
  const auto pcs = chain(number);
  return pcs.empty() ? TracePlace{} : place_of_level(levels(pcs[0], false).back(), pcs[0]);
}

TracePlace TraceNames::caller(std::uint32_t number) {
  const auto pcs = chain(number);
  if (pcs.size() < 2) return {};
  const auto& all = levels(pcs[1], false);
  const auto user = std::ranges::find_if(all, is_user_level);
  if (user != all.end()) return place_of_level(*user, pcs[1]);
  // The runtime itself calls an entry function: that is nobody who could change it.
  const auto other = std::ranges::find_if_not(all, is_runtime_level);
  return other == all.end() ? TracePlace{} : place_of_level(*other, pcs[1]);
}

TracePlace TraceNames::user_place(std::uint32_t number) {
  const auto pcs = chain(number);
  TracePlace second;
  for (const auto pc : pcs) {
    for (const auto& level : levels(pc, false)) {
      if (is_user_level(level)) return place_of_level(level, pc);
      if (second.function.empty() && !is_runtime_level(level)) second = place_of_level(level, pc);
    }
  }
  if (!second.function.empty() || pcs.empty()) return second;
  return place_of_level(levels(pcs[0], false).front(), pcs[0]);
}

TracePlace TraceNames::entry(std::uint64_t address) {
  if (address == 0) return {};
  const auto& all = levels(address, true);
  // What go() makes of a lambda is a function of the runtime's; the lambda is a level within it.
  const auto user = std::find_if(all.rbegin(), all.rend(), is_user_level);
  return place_of_level(user == all.rend() ? all.back() : *user, address);
}

}  // namespace stacktide

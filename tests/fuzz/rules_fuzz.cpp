// A rules file of `trace check`. It is no hostile input, but a mistake in it must be a line and not a crash in a build.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "analyze/rules.h"
#include "view/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto rules = stacktide::parse_rules({reinterpret_cast<const char*>(data), size}, "r.toml");
  if (!rules) return rules.error().empty() ? -1 : 0;
  for (const auto& rule : rules->rules) stacktide::explain_rule(*rules, rule, {});
  return 0;
}

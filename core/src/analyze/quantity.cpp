#include "analyze/quantity.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/printable.h"

namespace stacktide {
namespace {

// Above this a double no longer holds every whole number.
constexpr double kMost = 9007199254740992;

using Suffix = std::pair<std::string_view, double>;
constexpr double kKi = 1024;
constexpr std::array<Suffix, 12> kSizes = {{{"", 1},
                                            {"B", 1},
                                            {"bytes", 1},
                                            {"K", kKi},
                                            {"k", kKi},
                                            {"KiB", kKi},
                                            {"M", kKi* kKi},
                                            {"m", kKi* kKi},
                                            {"MiB", kKi* kKi},
                                            {"G", kKi* kKi* kKi},
                                            {"g", kKi* kKi* kKi},
                                            {"GiB", kKi* kKi* kKi}}};
constexpr std::array<Suffix, 5> kTimes = {{{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}}};

template <std::size_t N>
std::optional<double> factor_in(const std::array<Suffix, N>& suffixes, std::string_view text) {
  for (const auto& [suffix, factor] : suffixes) {
    if (suffix == text) return factor;
  }
  return std::nullopt;
}

std::optional<double> factor_of(std::string_view suffix, Unit unit) {
  switch (unit) {
    case Unit::bytes:
      return factor_in(kSizes, suffix);
    case Unit::nanoseconds:
      return factor_in(kTimes, suffix);
    case Unit::percent:
      return suffix == "%" ? std::optional(1.0) : std::nullopt;
    case Unit::count:
      return suffix.empty() ? std::optional(1.0) : std::nullopt;
  }
  return std::nullopt;
}

std::expected<double, std::string> checked(double value, Unit unit) {
  if (!std::isfinite(value) || value < 0 || value > kMost)
    return std::unexpected(fmt::format("out of range; wanted: {}", wanted(unit)));
  if (unit != Unit::percent && value != std::floor(value))
    return std::unexpected(fmt::format("not a whole number; wanted: {}", wanted(unit)));
  return value;
}

}  // namespace

std::string_view wanted(Unit unit) {
  switch (unit) {
    case Unit::bytes:
      return "a size in bytes, as 4096, \"64K\", \"64KiB\", \"1M\" or \"1G\"";
    case Unit::nanoseconds:
      return "a time, as \"500ns\", \"20us\", \"5ms\" or \"1s\"";
    case Unit::percent:
      return "a percentage, as 2, 0.5 or \"2%\"";
    case Unit::count:
      return "a count, as 0 or 12";
  }
  return "";
}

std::expected<double, std::string> parse_quantity(std::string_view text, Unit unit) {
  double number = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (wrong != std::errc()) return std::unexpected(fmt::format("\"{}\" is no number; wanted: {}", printable(text), wanted(unit)));
  auto suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  suffix.remove_prefix(std::min(suffix.find_first_not_of(' '), suffix.size()));
  const auto factor = factor_of(suffix, unit);
  if (!factor) {
    const auto what =
        suffix.empty() ? fmt::format("no unit in \"{}\"", text) : fmt::format("bad unit in \"{}\"", printable(text));
    return std::unexpected(fmt::format("{}; wanted: {}", what, wanted(unit)));
  }
  return checked(number * *factor, unit);
}

std::expected<double, std::string> plain_quantity(double number, Unit unit) {
  if (unit == Unit::nanoseconds) return std::unexpected(fmt::format("no unit; wanted: {}", wanted(unit)));
  return checked(number, unit);
}

}  // namespace stacktide

#include "view/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analyze/frames.h"

namespace stacktide {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::size_t kNarrowest = 12;  // a column that gives way keeps this much
constexpr std::size_t kLongName = 64;   // characters of a function's name that are shown in full

// Bytes that begin a character: good enough for a width, as names are ASCII with few exceptions.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string cut(const std::string& text, std::size_t width) {
  if (width_of(text) <= width || width <= 3 || text.size() < width) return text;
  return text.substr(0, width - 3) + "...";
}

}  // namespace

void Table::column(std::string header, Align align) { columns_.push_back({std::move(header), align}); }

void Table::row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::render(const Style& style) const {
  std::vector<std::size_t> widths;
  for (const auto& column : columns_) widths.push_back(width_of(column.header));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::size_t limit = kNone;
  if (shrinks_ < widths.size() && style.width != 0) {
    std::size_t total = kGap.size() * (widths.size() - 1);
    for (const auto width : widths) total += width;
    if (total > style.width) {
      const auto excess = total - style.width;
      limit = std::max(kNarrowest, widths[shrinks_] > excess ? widths[shrinks_] - excess : 0);
      widths[shrinks_] = std::min(widths[shrinks_], limit);
    }
  }
  std::string out;
  const auto line = [&](const auto& cell_at, bool strong) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string cell = i == shrinks_ && limit != kNone ? cut(cell_at(i), limit) : cell_at(i);
      const std::string pad(widths[i] - std::min(widths[i], width_of(cell)), ' ');
      if (i != 0) text += kGap;
      text += columns_[i].align == Align::right ? pad + cell : cell + pad;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += strong ? bold(text, style) : text;
    out += '\n';
  };
  if (std::ranges::any_of(columns_, [](const Column& column) { return !column.header.empty(); })) {
    line([&](std::size_t i) { return columns_[i].header; }, true);
  }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    line([&](std::size_t i) { return rows_[r][i]; }, r + 1 == highlighted_);
  }
  return out;
}

std::string hex(std::uint64_t address) { return fmt::format("{:#x}", address); }

std::string long_wait(std::int64_t nanoseconds) {
  const auto minutes = nanoseconds / 60'000'000'000;
  return minutes < 1 ? "" : plural(static_cast<std::uint64_t>(minutes), "minute");
}

std::string duration(std::int64_t nanoseconds) {
  const auto value = static_cast<double>(nanoseconds);
  if (nanoseconds < 1'000) return fmt::format("{} ns", nanoseconds);
  if (nanoseconds < 1'000'000) return fmt::format("{:.1f} us", value / 1e3);
  if (nanoseconds < 1'000'000'000) return fmt::format("{:.1f} ms", value / 1e6);
  return fmt::format("{:.1f} s", value / 1e9);
}

std::string plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(count), noun, count == 1 ? "" : "s");
}

std::string grouped(std::uint64_t value) {
  auto text = fmt::format("{}", value);
  if (text.size() <= 4) return text;
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  constexpr std::uint64_t kStep = 1024;
  if (bytes < kStep) return plural(bytes, "byte");
  std::uint64_t unit = kStep;
  std::size_t name = 0;
  while (name + 1 < kUnits.size() && bytes / unit >= kStep) {
    unit *= kStep;
    ++name;
  }
  if (bytes % unit == 0) return fmt::format("{} {}", bytes / unit, kUnits[name]);
  return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(unit), kUnits[name]);
}

std::string bold(std::string_view text, const Style& style) {
  return style.colour && !text.empty() ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

std::string dim(std::string_view text, const Style& style) {
  return style.colour && !text.empty() ? fmt::format("\x1b[2m{}\x1b[0m", text) : std::string(text);
}

std::string short_name(std::string_view function) {
  if (function.size() <= kLongName) return std::string(function);
  std::string out;
  std::size_t depth = 0;
  for (std::size_t i = 0; i < function.size(); ++i) {
    const char c = function[i];
    if (depth == 0 && c == '<' && out.ends_with("operator")) {
      // operator<, operator<<, operator<=>: no template arguments begin here.
      while (i < function.size() && (function[i] == '<' || function[i] == '=' || function[i] == '>')) out += function[i++];
      --i;
      continue;
    }
    if (c == '<' && depth++ == 0) out += "<...";
    const bool closes = c == '>' && depth != 0 && function[i - 1] != '-';
    if (depth == 0) out += c;
    if (closes && --depth == 0) out += '>';
  }
  return out;
}

std::string file_line(std::string_view file, std::uint32_t line) {
  return file.empty() ? "" : fmt::format("{}:{}", base_name(file), line);
}

}  // namespace stacktide

// Building blocks of the text views: aligned tables, addresses, durations, plurals, colour.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stacktide {

// How text may look: what of CommandOptions the views need.
struct Style {
  bool colour = false;
  std::uint32_t width = 0;  // columns to fit into, 0 any
};

enum class Align : std::uint8_t { left, right };

// Rows of cells under headers, two spaces between columns, no spaces at line ends. Columns are as wide as their widest cell;
// when the style has a width, the column named by shrink() gives way first.
class Table {
 public:
  void column(std::string header, Align align);
  // As many cells as columns.
  void row(std::vector<std::string> cells);
  // The whole row in bold, when colour is on.
  void highlight_last() { highlighted_ = rows_.size(); }
  void shrink(std::size_t column) { shrinks_ = column; }
  std::string render(const Style& style) const;

 private:
  struct Column {
    std::string header;
    Align align;
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::size_t highlighted_ = 0;  // 1-based; 0 none
  std::size_t shrinks_ = kNone;
};

// "0x7f10c0002000".
std::string hex(std::uint64_t address);
// "5 minutes", "1 hour": as in Go's tracebacks, in minutes from one on; "" below.
std::string long_wait(std::int64_t nanoseconds);
// "1.2 us", "3.1 ms", "2.5 s".
std::string duration(std::int64_t nanoseconds);
// "1 goroutine", "2 goroutines".
std::string plural(std::uint64_t count, std::string_view noun);
// "9800", "12,000": in threes from five digits on.
std::string grouped(std::uint64_t value);
// "512 bytes", "28 KiB", "753.1 MiB": one decimal where it is not exact.
std::string size_text(std::uint64_t bytes);
std::string bold(std::string_view text, const Style& style);
std::string dim(std::string_view text, const Style& style);
// A function's name for a column: when it is long, template arguments become "<...>".
std::string short_name(std::string_view function);
// "park.cpp:21"; "" without a file.
std::string file_line(std::string_view file, std::uint32_t line);

}  // namespace stacktide

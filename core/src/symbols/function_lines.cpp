// Where the lines of a function begin, for stepping: the rows of the line table that are marked as statements.
//
// Code that was inlined into the function is in its rows too. Each row says which inlined functions it is in; the first
// instruction of one counts as its call, in the function around it, which is how debuggers show it.
#include <dwarf.h>

#include <algorithm>
#include <map>

#include "symbols/debug_info.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxRows = 1U << 16;  // of one function

struct Row {
  std::string file;
  std::uint32_t line = 0;
};

// Of each address the last row that is a statement: what debuggers show there.
std::map<Dwarf_Addr, Row> statements(Dwarf_Die& unit, Dwarf_Die& function) {
  std::map<Dwarf_Addr, Row> rows;
  Dwarf_Lines* lines = nullptr;
  std::size_t count = 0;
  if (dwarf_getsrclines(&unit, &lines, &count) != 0) return rows;
  std::vector<std::pair<Dwarf_Addr, Dwarf_Addr>> ranges;
  Dwarf_Addr base = 0, low = 0, high = 0;
  for (std::ptrdiff_t offset = 0; (offset = dwarf_ranges(&function, offset, &base, &low, &high)) > 0;)
    ranges.emplace_back(low, high);
  for (std::size_t i = 0; i < count && rows.size() < kMaxRows; ++i) {
    Dwarf_Line* row = dwarf_onesrcline(lines, i);
    Dwarf_Addr address = 0;
    bool statement = false, end = false;
    int number = 0;
    if (row == nullptr || dwarf_lineaddr(row, &address) != 0 || dwarf_linebeginstatement(row, &statement) != 0 ||
        !statement || dwarf_lineendsequence(row, &end) != 0 || end || dwarf_lineno(row, &number) != 0 || number <= 0)
      continue;
    const auto within = [&](const auto& range) { return address >= range.first && address < range.second; };
    const char* file = dwarf_linesrc(row, nullptr, nullptr);
    if (file == nullptr || std::ranges::none_of(ranges, within)) continue;
    rows[address] = {file, static_cast<std::uint32_t>(number)};
  }
  return rows;
}

}  // namespace

std::optional<FunctionLines> DebugInfo::lines_of_function(Dwarf_Addr address, std::size_t level) {
  Unit* unit = unit_at(address);
  const Function* function = unit == nullptr ? nullptr : function_at(*unit, address);
  if (function == nullptr) return std::nullopt;
  Dwarf_Die die = function->die;
  FunctionLines result;
  // levels() is innermost first, and its last one is the function itself.
  auto here = levels(address);
  const std::size_t depth = here.empty() ? 0 : here.size() - 1;
  level = std::min(level, depth);
  for (std::size_t i = 0; i < level; ++i) result.inlined.push_back(dwarf_dieoffset(&here[depth - 1 - i].function));
  if (!here.empty()) {
    result.file = here[depth - level].file;
    result.line = here[depth - level].line;
  }
  auto rows = statements(unit->root, die);
  if (const auto row = rows.find(address); row != rows.end() && level == depth) {
    // What debuggers show there, whatever follows it in the table.
    result.file = row->second.file;
    result.line = row->second.line;
  }
  Dwarf_Addr first = 0;
  if (dwarf_entrypc(&die, &first) != 0) first = 0;
  for (auto& [start, row] : rows) {
    if (start == first) continue;
    LineStart found{start, std::move(row.file), row.line, {}};
    auto there = levels(start);
    for (std::size_t i = 1; i < there.size(); ++i)
      found.inlined.push_back(dwarf_dieoffset(&there[there.size() - 1 - i].function));
    for (std::size_t i = 0; i + 1 < there.size() && found.inlined != result.inlined; ++i) {
      Dwarf_Addr entry = 0;
      if (dwarf_entrypc(&there[i].function, &entry) != 0 || entry != start) break;
      found.inlined.pop_back();
      found.file = there[i + 1].file;
      found.line = there[i + 1].line;
    }
    result.starts.push_back(std::move(found));
  }
  return result;
}

}  // namespace stacktide

// runtime --layout: the address space in rows, with a bar for each.
#include "analyze/address_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "view/address_space.h"

namespace stacktide {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kGap = std::uint64_t{1} << 30;           // a gap of so many bytes has a row
constexpr std::uint64_t kNotCanonical = std::uint64_t{1} << 47;  // one of so many is nothing that a process could have

// One '#' for a page, one more for each doubling: a stack of 8 MiB beside an arena of 64 GiB.
std::string bar(std::uint64_t size) {
  std::size_t length = 1;
  for (auto pages = size / kPage; pages > 1; pages /= 2) ++length;
  return std::string(length, '#');
}

std::string used_text(const AddressRow& row) {
  if (!row.used) return "";
  return row.kind == "arena" ? fmt::format("{} accessible", size_text(*row.used))
                             : fmt::format("{} used", size_text(*row.used));
}

// How many stacks of which size, smallest first: "2 KiB x 96,001, 4 KiB x 4,000".
std::string sizes_text(const Snapshot& snapshot) {
  std::map<std::uint64_t, std::uint64_t> sizes;
  for (const auto& g : snapshot.goroutines) {
    for (const auto& segment : g.stack.segments) {
      if (segment.lo < segment.hi) ++sizes[segment.size()];
    }
  }
  std::string text;
  for (const auto& [size, count] : sizes)
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", size_text(size), grouped(count));
  return text;
}

}  // namespace

std::string address_space_text(const Snapshot& snapshot, const AddressSpace& space, const Style& style) {
  Table table;
  table.column("start", Align::left);
  table.column("size", Align::right);
  table.column("", Align::left);
  table.column("what", Align::left);
  table.column("", Align::left);
  Address end = 0;
  for (const auto& row : space.rows) {
    if (const auto gap = row.start - end; end != 0 && gap >= kGap)
      table.row({"...", gap < kNotCanonical ? size_text(gap) : "", "", "", ""});
    auto detail = row.detail;
    if (const auto used = used_text(row); !used.empty()) detail += (detail.empty() ? "" : ": ") + used;
    table.row({hex(row.start), size_text(row.size()), bar(row.size()), row.kind, std::move(detail)});
    end = row.end;
  }
  auto out = fmt::format("{}: {}, low addresses first\n", snapshot.target, plural(space.mappings, "mapping")) +
             table.render(style) + "a bar is one # for 4 KiB and one more for each doubling\n";
  if (const auto sizes = sizes_text(snapshot); !sizes.empty()) out += "goroutine stacks: " + sizes + "\n";
  return out;
}

Json to_json(const AddressSpace& space) {
  auto rows = Json::array();
  for (const auto& row : space.rows) {
    rows.push_back({{"start", hex(row.start)},
                    {"end", hex(row.end)},
                    {"kind", row.kind},
                    {"detail", row.detail},
                    {"used", row.used ? Json(*row.used) : Json(nullptr)}});
  }
  return rows;
}

}  // namespace stacktide

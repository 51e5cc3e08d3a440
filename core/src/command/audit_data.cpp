// The audit of static data: globals that point into stacks.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "analyze/frames.h"
#include "command/audit.h"
#include "view/views.h"

namespace stacktide {
namespace {

constexpr std::uint64_t kMaxData = 256U << 20;  // bytes looked at
constexpr std::uint64_t kPiece = 1U << 20;
constexpr std::uint64_t kPage = 4096;

// The runtime's own data tells of stacks by its nature.
bool is_runtime_data(const SymbolAt& symbol, const std::vector<std::string>& runtime_symbols) {
  Frame frame;
  frame.module = symbol.module;
  frame.symbol = symbol.symbol;
  if (is_runtime_frame(frame, runtime_symbols)) return true;
  // "guard variable for NAMESPACE::name" and the like.
  return std::ranges::any_of(runtime_symbols, [&](const std::string& prefix) {
    return prefix.ends_with("::") && symbol.name.find(prefix) != std::string::npos;
  });
}

void look_at(Session& session, PlaceFinder& finder, Address address, std::uint64_t value, Audit& audit) {
  auto place = finder.stack_at(value);
  if (!place) return;
  const auto symbol = SessionAccess::symbolizer(session).symbol_at(address);
  if (symbol && !symbol->symbol.empty() && is_runtime_data(*symbol, SessionAccess::runtime_symbols(session))) return;
  const bool live = place->kind == PlaceKind::stack;
  const bool named = symbol && !symbol->symbol.empty();
  // What has no name may be the runtime's own, which knows every stack.
  if (live && !named) {
    ++audit.unnamed;
    return;
  }
  finder.complete(*place);
  AuditEntry entry;
  entry.kind = live ? "data_to_stack" : "data_to_freed_stack";
  entry.note = live || !named;
  if (named) {
    entry.variable = address == symbol->start ? symbol->name : fmt::format("{}+{}", symbol->name, address - symbol->start);
  } else {
    entry.variable = fmt::format("{:#x}", address);
  }
  entry.text = fmt::format("{} is {:#x}: {}", entry.variable, value, place_in_short(*place, 0));
  if (live) entry.text += finder.stays(*place) ? finder.why_it_stays() : "; when that stack moves it will be stale";
  if (!named) entry.text += " (no symbol: perhaps the runtime's own)";
  entry.address = address;
  entry.value = value;
  entry.place = std::move(*place);
  audit.entries.push_back(std::move(entry));
}

}  // namespace

void audit_data(Session& session, PlaceFinder& finder, Audit& audit) {
  auto& memory = session.target().memory();
  std::uint64_t left = kMaxData;
  std::uint64_t absent = 0;
  std::vector<std::byte> bytes;
  const auto ranges = SessionAccess::writable_data(session);
  if (ranges.empty()) audit.partial.emplace_back("the program's data was not found");
  for (const auto& range : ranges) {
    Address at = (range.address + 7) / 8 * 8;
    const Address end = range.address + std::min(range.size, left);
    if (range.size > left)
      audit.partial.push_back(fmt::format("{} bytes of data are left out, from {:#x} on", range.size - left, end));
    left -= std::min(range.size, left);
    while (at + 8 <= end) {
      bytes.resize(std::min(kPiece, (end - at) / 8 * 8));
      const auto got = memory.read_up_to(at, bytes) / 8 * 8;
      for (std::uint64_t offset = 0; offset < got; offset += 8) {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data() + offset, sizeof value);
        if (value >= kPage) look_at(session, finder, at + offset, value, audit);
      }
      audit.data_words += got / 8;
      at += got;
      if (got == bytes.size()) continue;
      // Memory comes and goes by pages.
      const auto resume = std::min((at / kPage + 1) * kPage, end);
      absent += resume - at;
      at = resume;
    }
  }
  if (audit.unnamed != 0) {
    AuditEntry entry;
    entry.note = true;
    entry.kind = "data_without_symbols";
    entry.text = fmt::format("{} of data without a symbol point into stacks: perhaps they are the runtime's own",
                             plural(audit.unnamed, "word"));
    audit.entries.push_back(std::move(entry));
  }
  if (absent != 0) audit.partial.push_back(fmt::format("{} bytes of the program's data could not be read", absent));
}

}  // namespace stacktide

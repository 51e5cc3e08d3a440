#include "names_block.h"

#include "stacktide/stack_map.h"

namespace stacktide::link {
namespace {

template <class T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

std::uint32_t NamesBlock::text(const std::string& text) {
  const auto [found, fresh] = known_texts_.try_emplace(text, static_cast<std::uint32_t>(texts_.size()));
  if (fresh) texts_.append(text.c_str(), text.size() + 1);
  return found->second;
}

std::uint32_t NamesBlock::type_text(Dwarf_Die type) {
  const auto found = known_types_.find(type.addr);
  if (found != known_types_.end()) return found->second;
  return known_types_[type.addr] = text(spelled(tree_, type));
}

void NamesBlock::add_list(const std::vector<NamedPlace>& names) {
  if (names.empty()) return sites_.push_back(0);
  std::string bytes;
  append(bytes, static_cast<std::uint32_t>(names.size()));
  for (const NamedPlace& place : names) {
    append(bytes, stacktide_map_variable{static_cast<std::int32_t>(place.offset), static_cast<std::uint32_t>(place.size),
                                         text(place.variable->name), type_text(place.variable->type),
                                         static_cast<std::uint16_t>(place.reg), place.kind});
  }
  const auto [found, fresh] = known_.try_emplace(bytes, static_cast<std::uint32_t>(lists_.size()));
  if (fresh) lists_ += bytes;
  sites_.push_back(found->second + 1);
}

void NamesBlock::add_pin(std::uint32_t region, std::uint32_t begin, std::uint32_t end, const PinReason& reason) {
  append(pins_, stacktide_map_pin{region, begin, end, text(reason.variable), text(reason.type)});
  ++pin_count_;
}

std::string NamesBlock::finish() const {
  stacktide_names_header header{};
  header.magic = STACKTIDE_NAMES_MAGIC;
  header.version = STACKTIDE_MAPS_VERSION;
  header.header_size = sizeof header;
  header.site_offset = sizeof header;
  header.site_count = static_cast<std::uint32_t>(sites_.size());
  const auto lists_at = static_cast<std::uint32_t>(sizeof header + sites_.size() * sizeof(std::uint32_t));
  header.pin_offset = lists_at + static_cast<std::uint32_t>(lists_.size());
  header.pin_count = pin_count_;
  header.text_offset = header.pin_offset + static_cast<std::uint32_t>(pins_.size());
  header.text_size = static_cast<std::uint32_t>(texts_.size());
  header.size = header.text_offset + header.text_size;
  std::string block;
  append(block, header);
  for (const std::uint32_t site : sites_) append(block, site == 0 ? 0 : site - 1 + lists_at);
  return block + lists_ + pins_ + texts_;
}

}  // namespace stacktide::link

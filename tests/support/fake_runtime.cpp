#include "support/fake_runtime.h"

#include <zlib.h>

#include <cstring>
#include <stdexcept>

namespace stacktide::test {
namespace {

constexpr Address kMs = 0x300000;
constexpr Address kPs = 0x400000;
constexpr Address kRings = 0x600000;
constexpr Address kRingRecords = 0x700000;
constexpr Address kRingDistance = 0x10000;
constexpr Address kVersion = 0x20000;
constexpr Address kStackMaps = 0x800000;
constexpr Address kSpans = 0x810000;
constexpr Address kCellTable = 0x820000;
constexpr std::string_view kVersionText = "fake 1.2";

std::uint32_t width_of(std::uint32_t kind) {
  switch (kind) {
    case STACKTIDE_KIND_TEXT:
      return 32;
    case STACKTIDE_KIND_ADDRESSES:
      return 64;
    case STACKTIDE_KIND_ENUM:
      return 4;
    case STACKTIDE_KIND_RECORD:
      return 24;  // the only one is wait_queue, of 8 bytes and two numbers
    default:
      return 8;
  }
}

template <class T>
stacktide_table append(std::vector<std::byte>& block, const std::vector<T>& entries) {
  const stacktide_table table{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(entries.size()),
                              sizeof(T)};
  const auto raw = std::as_bytes(std::span(entries));
  block.insert(block.end(), raw.begin(), raw.end());
  return table;
}

}  // namespace

std::uint32_t DescriptorImage::name(const std::string& text) {
  const auto offset = static_cast<std::uint32_t>(names.size());
  names += text;
  names += '\0';
  return offset;
}

std::uint32_t DescriptorImage::type_index(const std::string& wanted) const {
  for (std::uint32_t i = 0; i < types.size(); ++i) {
    if (wanted == names.c_str() + types[i].name) return i;
  }
  throw std::runtime_error("no type " + wanted);
}

stacktide_field& DescriptorImage::field(const std::string& type, const std::string& wanted) {
  for (auto& entry : fields) {
    if (entry.type == type_index(type) && wanted == names.c_str() + entry.name) return entry;
  }
  throw std::runtime_error("no field " + type + "." + wanted);
}

stacktide_root& DescriptorImage::root(const std::string& wanted) {
  for (auto& entry : roots) {
    if (wanted == names.c_str() + entry.name) return entry;
  }
  throw std::runtime_error("no root " + wanted);
}

stacktide_contract& DescriptorImage::contract(const std::string& wanted) {
  for (auto& entry : contracts) {
    if (wanted == names.c_str() + entry.name) return entry;
  }
  throw std::runtime_error("no contract " + wanted);
}

void DescriptorImage::remove_field(const std::string& type, const std::string& wanted) {
  const auto index = &field(type, wanted) - fields.data();
  fields.erase(fields.begin() + index);
}

std::vector<std::byte> DescriptorImage::encode() const {
  std::vector<std::byte> block(sizeof(stacktide_header));
  stacktide_header header{};
  header.magic = STACKTIDE_MAGIC;
  header.abi_major = STACKTIDE_ABI_MAJOR;
  header.abi_minor = STACKTIDE_ABI_MINOR;
  header.pointer_size = 8;
  header.header_size = sizeof header;
  header.self_address = address;
  header.types = append(block, types);
  header.fields = append(block, fields);
  header.enums = append(block, enums);
  header.constants = append(block, constants);
  header.contracts = append(block, contracts);
  header.names = append(block, std::vector<char>(names.begin(), names.end()));
  header.constant_offset = sizeof header;
  header.constant_size = static_cast<std::uint32_t>(block.size() - sizeof header);
  header.roots = append(block, roots);
  header.total_size = static_cast<std::uint32_t>(block.size());
  std::memcpy(block.data(), &header, sizeof header);
  seal(block);
  return block;
}

stacktide_header& header_of(std::vector<std::byte>& block) { return *reinterpret_cast<stacktide_header*>(block.data()); }

void seal(std::vector<std::byte>& block) {
  auto& header = header_of(block);
  header.checksum = static_cast<std::uint32_t>(crc32(
      0, reinterpret_cast<const Bytef*>(block.data() + header.constant_offset), static_cast<uInt>(header.constant_size)));
}

FakeRuntime::FakeRuntime() {
#define STACKTIDE_ADD_TYPE(type) image.types.push_back({image.name(#type), 8});
  STACKTIDE_TYPES(STACKTIDE_ADD_TYPE)
#undef STACKTIDE_ADD_TYPE
#define STACKTIDE_ADD_FIELD(owner, member, shape)                                                                       \
  {                                                                                                                     \
    auto& type = image.types[image.type_index(#owner)];                                                                 \
    image.fields.push_back({image.type_index(#owner), image.name(#member), type.size, width_of(STACKTIDE_KIND_##shape), \
                            STACKTIDE_KIND_##shape});                                                                   \
    type.size += (width_of(STACKTIDE_KIND_##shape) + 7) / 8 * 8;                                                        \
  }
  STACKTIDE_FIELDS(STACKTIDE_ADD_FIELD)
#undef STACKTIDE_ADD_FIELD
#define STACKTIDE_ADD_ENUM(name_, enumerator, value, text) \
  image.enums.push_back({image.name(#name_), image.name(text), value});
  STACKTIDE_ENUMS(STACKTIDE_ADD_ENUM)
#undef STACKTIDE_ADD_ENUM
#define STACKTIDE_ADD_CONSTANT(name_, value) image.constants.push_back({image.name(#name_), 0, value});
  STACKTIDE_CONSTANTS(STACKTIDE_ADD_CONSTANT)
#undef STACKTIDE_ADD_CONSTANT
#define STACKTIDE_ADD_CONTRACT(name_, version) image.contracts.push_back({image.name(#name_), version});
  STACKTIDE_CONTRACTS(STACKTIDE_ADD_CONTRACT)
#undef STACKTIDE_ADD_CONTRACT
#define STACKTIDE_ADD_ROOT(name_, type_) \
  image.roots.push_back({image.name(#name_), image.type_index(#type_), 0, image.types[image.type_index(#type_)].size, 0, 0});
  STACKTIDE_ROOTS(STACKTIDE_ADD_ROOT)
#undef STACKTIDE_ADD_ROOT
  image.roots.push_back({image.name(STACKTIDE_ROOT_VERSION), STACKTIDE_NO_TYPE, kVersion, 1, 0, kVersionText.size()});
  scheduler = {{"max_procs", 2},       {"min_stack", 2048}, {"segment_size", 8192},
               {"max_stack", 1 << 30}, {"shrink", 1},       {"now", 1'000'000'000}};
}

Values FakeRuntime::parked(std::uint64_t id) {
  const Address lo = 0x7f0000000000 + id * 0x10000;
  return {{"id", id},
          {"status", 4},
          {"wait_reason", 1},
          {"stack_lo", lo},
          {"stack_hi", lo + 2048},
          {"stackguard", lo + 928},
          {"stackguard0", lo + 928},
          {"sp", lo + 2048 - 312},
          {"pc", 0x401000},
          {"bp", lo + 2000},
          {"high_water", 700}};
}

Address FakeRuntime::goroutine_address(std::size_t index) const { return kSlab + index * size_of("goroutine"); }
Address FakeRuntime::m_address(std::size_t index) const { return kMs + index * size_of("m"); }
Address FakeRuntime::p_address(std::size_t index) const { return kPs + index * size_of("p"); }
Address FakeRuntime::ring_address(std::size_t index) const { return kRingRecords + index * kRingDistance; }
std::uint32_t FakeRuntime::size_of(const std::string& type) const { return image.types[image.type_index(type)].size; }

std::vector<std::byte> FakeRuntime::record(const std::string& type, const Values& values) {
  std::vector<std::byte> bytes(size_of(type));
  for (const auto& [name, value] : values) {
    const auto& field = image.field(type, name);
    std::memcpy(bytes.data() + field.offset, &value, std::min<std::size_t>(field.width, sizeof value));
  }
  return bytes;
}

void FakeRuntime::put(FakeMemory& memory, const std::string& type, Address address, const Values& values) {
  memory.put_bytes(address, record(type, values));
}

void FakeRuntime::place(FakeMemory& memory) {
  const auto root = [&](const char* name, Address address, std::uint64_t count) {
    image.root(name).address = address;
    image.root(name).count = count;
  };
  root("goroutine_slabs", kSlabs, 1);
  root("ms", kMs, ms.size());
  root("ps", kPs, ps.size());
  root("scheduler", kScheduler, 1);
  root("event_rings", kRings, rings.size());
  root("stack_maps", kStackMaps, stack_maps.empty() ? 0 : 1);
  root("spans", kSpans, spans.size());
  root("stack_cells", kCellTable, stack_cells.empty() ? 0 : kCells);
  if (!stack_maps.empty()) put(memory, "stack_maps", kStackMaps, stack_maps);
  for (std::size_t i = 0; i < spans.size(); ++i) put(memory, "span", kSpans + i * size_of("span"), spans[i]);
  for (const auto& [number, values] : stack_cells)
    put(memory, "stack_cell", kCellTable + number * size_of("stack_cell"), values);
  put(memory, "slab", kSlabs, {{"address", kSlab}, {"capacity", goroutines.size()}, {"used", goroutines.size()}});
  for (std::size_t i = 0; i < goroutines.size(); ++i) {
    auto bytes = record("goroutine", goroutines[i]);
    if (const auto label = labels.find(i); label != labels.end()) {
      const auto& field = image.field("goroutine", "label");
      std::memcpy(bytes.data() + field.offset, label->second.data(),
                  std::min<std::size_t>(label->second.size(), field.width));
    }
    memory.put_bytes(goroutine_address(i), bytes);
  }
  for (std::size_t i = 0; i < ms.size(); ++i) put(memory, "m", m_address(i), ms[i]);
  for (std::size_t i = 0; i < ps.size(); ++i) {
    put(memory, "p", p_address(i), ps[i]);
    const auto& slots = run_queues[i];
    const auto offset = image.field("p", "run_queue").offset;
    for (std::size_t slot = 0; slot < slots.size(); ++slot) memory.put(p_address(i) + offset + slot * 8, slots[slot]);
  }
  put(memory, "scheduler", kScheduler, scheduler);
  for (const auto& [address, values] : segments) put(memory, "segment", address, values);
  for (std::size_t i = 0; i < rings.size(); ++i) {
    put(memory, "event_ring", kRings + i * size_of("event_ring"),
        {{"records", ring_address(i)}, {"capacity", rings[i].capacity}, {"count", rings[i].count}});
    for (std::size_t slot = 0; slot < rings[i].slots.size(); ++slot) {
      put(memory, "event", ring_address(i) + slot * size_of("event"), rings[i].slots[slot]);
    }
  }
  memory.put_bytes(kVersion, std::as_bytes(std::span(kVersionText)));
  memory.put_bytes(image.address, image.encode());
}

}  // namespace stacktide::test

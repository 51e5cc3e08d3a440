// What the runtime exports, as it lies in a built program, against what is compiled: each offset and width is the member's,
// each name is one that core's snapshot spells the same, the checksum is zlib's.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <elf.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "arena.h"
#include "channel_core.h"
#include "events.h"
#include "goroutine.h"
#include "hot_splits.h"
#include "netpoll.h"
#include "processor.h"
#include "scheduler.h"
#include "stack_map.h"
#include "stacktide/abi.h"
#include "support/process.h"
#include "sync_cores.h"
#include "worker.h"

namespace {

#pragma GCC diagnostic ignored "-Winvalid-offsetof"

using type_goroutine = stacktide::runtime::Goroutine;
using type_segment = stacktide::runtime::Segment;
using type_m = stacktide::runtime::M;
using type_p = stacktide::runtime::P;
using type_scheduler = stacktide::runtime::Scheduler;
using type_slab = stacktide::runtime::Slab;
using type_event = stacktide::runtime::Event;
using type_event_ring = stacktide::runtime::EventRing;
using type_hot_split = stacktide::runtime::HotSplit;
using type_span = stacktide::runtime::Span;
using type_stack_cell = stacktide::runtime::StackCell;
using type_stack_maps = stacktide::runtime::StackMaps;
using type_channel = stacktide::runtime::Channel;
using type_mutex = stacktide::runtime::Mutex;
using type_wait_group = stacktide::runtime::WaitGroup;
using type_wait_queue = stacktide::runtime::WaitQueue;
using type_waiter = stacktide::runtime::Waiter;
using type_poll_descriptor = stacktide::runtime::PollDescriptor;

std::vector<char> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
T at(const std::vector<char>& bytes, std::size_t offset) {
  REQUIRE(offset + sizeof(T) <= bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

struct Section {
  std::vector<char> bytes;
  std::uint64_t address = 0;
};

Section section(const std::vector<char>& file, const std::string& wanted) {
  const auto header = at<Elf64_Ehdr>(file, 0);
  const auto names = at<Elf64_Shdr>(file, header.e_shoff + std::size_t{header.e_shstrndx} * sizeof(Elf64_Shdr));
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const auto entry = at<Elf64_Shdr>(file, header.e_shoff + i * sizeof(Elf64_Shdr));
    if (std::string(file.data() + names.sh_offset + entry.sh_name) != wanted) continue;
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(entry.sh_offset);
    return {{begin, begin + static_cast<std::ptrdiff_t>(entry.sh_size)}, entry.sh_addr};
  }
  FAIL("no section " << wanted);
  return {};
}

// The exported block, taken apart by the rules of abi.h alone.
struct Descriptor {
  explicit Descriptor(const std::string& path) {
    const Section found = section(read_file(path), STACKTIDE_SECTION);
    bytes = found.bytes;
    address = found.address;
    header = at<stacktide_header>(bytes, 0);
  }
  template <class T>
  std::vector<T> entries(const stacktide_table& table) const {
    REQUIRE(table.stride >= sizeof(T));
    std::vector<T> result;
    for (std::uint32_t i = 0; i < table.count; ++i)
      result.push_back(at<T>(bytes, table.offset + std::size_t{i} * table.stride));
    return result;
  }
  std::string name(std::uint32_t offset) const {
    REQUIRE(offset < header.names.count);
    const char* text = bytes.data() + header.names.offset + offset;
    const std::size_t room = header.names.count - offset;
    const std::size_t length = strnlen(text, room);
    REQUIRE(length < room);
    return {text, length};
  }

  std::vector<char> bytes;
  std::uint64_t address = 0;
  stacktide_header header{};
};

const Descriptor& descriptor() {
  static const Descriptor instance(stacktide::test::test_program("rt_fatal_O2"));
  return instance;
}

struct Field {
  std::uint64_t offset;
  std::uint64_t width;
  std::uint32_t kind;
  bool operator==(const Field&) const = default;
};

}  // namespace

TEST_CASE("the header describes a block of whole tables, constant part first, roots last") {
  const auto& d = descriptor();
  CHECK(d.header.magic == STACKTIDE_MAGIC);
  CHECK(d.header.abi_major == STACKTIDE_ABI_MAJOR);
  CHECK(d.header.abi_minor == STACKTIDE_ABI_MINOR);
  CHECK(d.header.pointer_size == sizeof(void*));
  CHECK(d.header.header_size == sizeof(stacktide_header));
  CHECK(d.header.total_size <= d.bytes.size());
  CHECK(d.header.total_size <= STACKTIDE_MAX_DESCRIPTOR);
  std::uint64_t end = d.header.constant_offset;
  CHECK(end >= sizeof(stacktide_header));
  for (const auto* table :
       {&d.header.types, &d.header.fields, &d.header.enums, &d.header.constants, &d.header.contracts, &d.header.names}) {
    CHECK(table->offset >= end);
    end = table->offset + std::uint64_t{table->count} * table->stride;
  }
  CHECK(end == d.header.constant_offset + d.header.constant_size);
  CHECK(d.header.roots.offset >= end);
  CHECK(d.header.roots.offset + std::uint64_t{d.header.roots.count} * d.header.roots.stride == d.header.total_size);
}

TEST_CASE("the checksum is the CRC-32 of the constant part, as zlib computes it") {
  const auto& d = descriptor();
  REQUIRE(std::uint64_t{d.header.constant_offset} + d.header.constant_size <= d.bytes.size());
  const auto* constant = reinterpret_cast<const Bytef*>(d.bytes.data() + d.header.constant_offset);
  CHECK(d.header.checksum == crc32(0, constant, d.header.constant_size));
}

TEST_CASE("each exported type has the size of its structure") {
  std::map<std::string, std::uint64_t> expected;
#define T(name) expected[#name] = sizeof(type_##name);
  STACKTIDE_TYPES(T)
#undef T
  std::map<std::string, std::uint64_t> exported;
  for (const auto& type : descriptor().entries<stacktide_type>(descriptor().header.types))
    exported[descriptor().name(type.name)] = type.size;
  CHECK(exported == expected);
}

TEST_CASE("each exported field has its member's offset and width, and a kind that fits") {
  std::map<std::string, Field> expected;
#define F(type, name, kind) \
  expected[#type "." #name] = {offsetof(type_##type, name), sizeof(type_##type::name), STACKTIDE_KIND_##kind};
  STACKTIDE_FIELDS(F)
#undef F
  const auto& d = descriptor();
  const auto types = d.entries<stacktide_type>(d.header.types);
  const auto fields = d.entries<stacktide_field>(d.header.fields);
  std::set<std::string> enumerations;
  for (const auto& entry : d.entries<stacktide_enum>(d.header.enums)) enumerations.insert(d.name(entry.name));
  CHECK(fields.size() == expected.size());
  for (const auto& field : fields) {
    REQUIRE(field.type < types.size());
    const std::string type = d.name(types[field.type].name);
    const std::string name = d.name(field.name);
    CAPTURE(type);
    CAPTURE(name);
    REQUIRE(expected.contains(type + "." + name));
    CHECK(expected[type + "." + name] == Field{field.offset, field.width, field.kind});
    CHECK(std::uint64_t{field.offset} + field.width <= types[field.type].size);
    const bool number = field.width == 1 || field.width == 2 || field.width == 4 || field.width == 8;
    switch (field.kind) {
      case STACKTIDE_KIND_UNSIGNED:
      case STACKTIDE_KIND_SIGNED:
        CHECK(number);
        break;
      case STACKTIDE_KIND_ADDRESS:
        CHECK(field.width == sizeof(void*));
        break;
      case STACKTIDE_KIND_ADDRESSES:
        CHECK(field.width % sizeof(void*) == 0);
        break;
      case STACKTIDE_KIND_ENUM:
        CHECK(number);
        CHECK((enumerations.contains(type + "_" + name) || enumerations.contains(name)));
        break;
      case STACKTIDE_KIND_TEXT:
        CHECK(field.width > 0);
        break;
      case STACKTIDE_KIND_RECORD:
        CHECK(std::ranges::any_of(types, [&](const auto& inner) { return inner.size == field.width; }));
        break;
      default:
        FAIL("kind " << field.kind);
    }
  }
}

TEST_CASE("enumerators, constants, contracts and roots are those of the vocabulary") {
  const auto& d = descriptor();
  std::map<std::pair<std::string, std::int64_t>, std::string> enums;
  std::map<std::pair<std::string, std::int64_t>, std::string> exported_enums;
#define E(enumeration, enumerator, value, text) enums[{#enumeration, value}] = text;
  STACKTIDE_ENUMS(E)
#undef E
  for (const auto& entry : d.entries<stacktide_enum>(d.header.enums))
    exported_enums[{d.name(entry.name), entry.value}] = d.name(entry.text);
  CHECK(exported_enums == enums);

  std::map<std::string, std::int64_t> constants;
  std::map<std::string, std::int64_t> exported_constants;
#define C(name, value) constants[#name] = value;
  STACKTIDE_CONSTANTS(C)
#undef C
  for (const auto& entry : d.entries<stacktide_constant>(d.header.constants))
    exported_constants[d.name(entry.name)] = entry.value;
  CHECK(exported_constants == constants);

  std::map<std::string, std::uint32_t> contracts;
  std::map<std::string, std::uint32_t> exported_contracts;
#define K(name, version) contracts[#name] = version;
  STACKTIDE_CONTRACTS(K)
#undef K
  for (const auto& entry : d.entries<stacktide_contract>(d.header.contracts))
    exported_contracts[d.name(entry.name)] = entry.version;
  CHECK(exported_contracts == contracts);

  std::map<std::string, std::uint64_t> roots;
  const auto types = d.entries<stacktide_type>(d.header.types);
  for (const auto& root : d.entries<stacktide_root>(d.header.roots)) {
    roots[d.name(root.name)] = root.stride;
    if (root.type != STACKTIDE_NO_TYPE) {
      REQUIRE(root.type < types.size());
      CHECK(root.stride == types[root.type].size);
    }
  }
  std::map<std::string, std::uint64_t> expected_roots;
#define R(name, type) expected_roots[#name] = sizeof(type_##type);
  STACKTIDE_ROOTS(R)
#undef R
  for (const auto* name : {STACKTIDE_ROOT_VERSION, STACKTIDE_ROOT_EVENT_HOOK, STACKTIDE_ROOT_PENDING_HOOK})
    expected_roots[name] = 1;
  CHECK(roots == expected_roots);
}

TEST_CASE("the note leads from its own address to the block") {
  const auto file = read_file(stacktide::test::test_program("rt_fatal_O2"));
  const Section note = section(file, ".note.stacktide");
  const auto header = at<Elf64_Nhdr>(note.bytes, 0);
  REQUIRE(header.n_namesz == sizeof STACKTIDE_NOTE_NAME);
  CHECK(std::string(note.bytes.data() + sizeof header) == STACKTIDE_NOTE_NAME);
  CHECK(header.n_type == STACKTIDE_NOTE_TYPE);
  REQUIRE(header.n_descsz == 8);
  const std::size_t payload = sizeof header + ((sizeof STACKTIDE_NOTE_NAME + 3) & ~std::size_t{3});
  const auto distance = at<std::int64_t>(note.bytes, payload);
  CHECK(note.address + payload + static_cast<std::uint64_t>(distance) == descriptor().address);
}

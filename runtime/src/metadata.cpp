// Builds the descriptor at compile time from the vocabulary of abi.h, offsetof and sizeof: what is exported cannot differ
// from what is compiled. Only self_address and the roots are not constants.
#include "metadata.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

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
#include "sync_cores.h"
#include "worker.h"

namespace stacktide::runtime {
namespace {

// The structures behind the vocabulary's type names.
using type_goroutine = Goroutine;
using type_segment = Segment;
using type_m = M;
using type_p = P;
using type_scheduler = Scheduler;
using type_slab = Slab;
using type_event = Event;
using type_event_ring = EventRing;
using type_hot_split = HotSplit;
using type_span = Span;
using type_stack_cell = StackCell;
using type_stack_maps = StackMaps;
using type_channel = Channel;
using type_mutex = Mutex;
using type_wait_group = WaitGroup;
using type_wait_queue = WaitQueue;
using type_waiter = Waiter;
using type_poll_descriptor = PollDescriptor;

// M is published with its private part too; offsetof on these (standard layout but for atomics) is what GCC supports.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

enum TypeIndex : std::uint32_t {
#define T(name) index_##name,
  STACKTIDE_TYPES(T)
#undef T
      type_count
};

#define COUNT(...) +1
constexpr std::size_t kFields = 0 STACKTIDE_FIELDS(COUNT);
constexpr std::size_t kEnums = 0 STACKTIDE_ENUMS(COUNT);
constexpr std::size_t kConstants = 0 STACKTIDE_CONSTANTS(COUNT);
constexpr std::size_t kContracts = 0 STACKTIDE_CONTRACTS(COUNT);
constexpr std::size_t kRoots = 3 STACKTIDE_ROOTS(COUNT);
#undef COUNT

#define LENGTH_T(name) +sizeof(#name)
#define LENGTH_F(type, name, kind) +sizeof(#name)
#define LENGTH_E(enumeration, enumerator, value, text) +sizeof(#enumeration) + sizeof(text)
#define LENGTH_C(name, value) +sizeof(#name)
constexpr std::size_t kNames = 0 STACKTIDE_TYPES(LENGTH_T) STACKTIDE_FIELDS(LENGTH_F) STACKTIDE_ENUMS(LENGTH_E)
                                   STACKTIDE_CONSTANTS(LENGTH_C) STACKTIDE_CONTRACTS(LENGTH_C) STACKTIDE_ROOTS(LENGTH_C) +
                               sizeof(STACKTIDE_ROOT_VERSION) + sizeof(STACKTIDE_ROOT_EVENT_HOOK) +
                               sizeof(STACKTIDE_ROOT_PENDING_HOOK);
constexpr std::size_t kNamePool = (kNames + 7) & ~std::size_t{7};

struct Constant {
  std::array<stacktide_type, type_count> types;
  std::array<stacktide_field, kFields> fields;
  std::array<stacktide_enum, kEnums> enums;
  std::array<stacktide_constant, kConstants> constants;
  std::array<stacktide_contract, kContracts> contracts;
  std::array<char, kNamePool> names;
};

struct Block {
  stacktide_header header;
  Constant constant;
  std::array<stacktide_root, kRoots> roots;
};
static_assert(sizeof(Block) <= STACKTIDE_MAX_DESCRIPTOR);
static_assert(offsetof(Block, roots) % alignof(stacktide_root) == 0);

struct NamePool {
  std::array<char, kNamePool>& bytes;
  std::uint32_t end = 0;
  constexpr std::uint32_t add(const char* text) {
    const std::uint32_t at = end;
    while (*text != 0) bytes[end++] = *text++;
    bytes[end++] = 0;
    return at;
  }
};

// CRC-32 of the constant part, member by member since a constant expression cannot look at bytes of structures.
class Crc {
 public:
  constexpr void add8(std::uint8_t byte) {
    crc_ ^= byte;
    for (int i = 0; i < 8; ++i) crc_ = (crc_ >> 1) ^ ((crc_ & 1) != 0 ? 0xedb88320 : 0);
  }
  constexpr void add32(std::uint32_t value) {
    for (int i = 0; i < 32; i += 8) add8(static_cast<std::uint8_t>(value >> i));
  }
  constexpr void add64(std::uint64_t value) {
    add32(static_cast<std::uint32_t>(value));
    add32(static_cast<std::uint32_t>(value >> 32));
  }
  constexpr std::uint32_t value() const { return ~crc_; }

 private:
  std::uint32_t crc_ = 0xffffffff;
};

constexpr std::uint32_t checksum(const Constant& constant) {
  static_assert(sizeof(stacktide_type) == 8 && sizeof(stacktide_field) == 20 && sizeof(stacktide_enum) == 16);
  static_assert(sizeof(stacktide_constant) == 16 && sizeof(stacktide_contract) == 8);
  // No padding between the tables, or the order below would not be the order in memory.
  static_assert(sizeof(Constant) == type_count * 8 + kFields * 20 + kEnums * 16 + kConstants * 16 + kContracts * 8 +
                                        kNamePool + (type_count * 8 + kFields * 20) % 8);
  Crc crc;
  for (const auto& type : constant.types) crc.add32(type.name), crc.add32(type.size);
  for (const auto& field : constant.fields) {
    crc.add32(field.type), crc.add32(field.name), crc.add32(field.offset), crc.add32(field.width), crc.add32(field.kind);
  }
  if constexpr ((type_count * 8 + kFields * 20) % 8 != 0) crc.add32(0);
  for (const auto& entry : constant.enums)
    crc.add32(entry.name), crc.add32(entry.text), crc.add64(static_cast<std::uint64_t>(entry.value));
  for (const auto& entry : constant.constants) {
    crc.add32(entry.name), crc.add32(entry.reserved), crc.add64(static_cast<std::uint64_t>(entry.value));
  }
  for (const auto& entry : constant.contracts) crc.add32(entry.name), crc.add32(entry.version);
  for (char byte : constant.names) crc.add8(static_cast<std::uint8_t>(byte));
  return crc.value();
}

template <class Table>
constexpr stacktide_table table_at(std::size_t offset, const Table& table) {
  return {static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(table.size()), sizeof(typename Table::value_type)};
}

constexpr Block build() {
  Block block{};
  NamePool pool{block.constant.names};
  std::size_t i = 0;
#define T(name) block.constant.types[i++] = {pool.add(#name), sizeof(type_##name)};
  STACKTIDE_TYPES(T)
#undef T
  i = 0;
#define F(type, name, kind)                                                                                            \
  block.constant.fields[i++] = {index_##type, pool.add(#name), offsetof(type_##type, name), sizeof(type_##type::name), \
                                STACKTIDE_KIND_##kind};
  STACKTIDE_FIELDS(F)
#undef F
  i = 0;
#define E(enumeration, enumerator, number, text) \
  block.constant.enums[i++] = {pool.add(#enumeration), pool.add(text), number};
  STACKTIDE_ENUMS(E)
#undef E
  i = 0;
#define C(name, number) block.constant.constants[i++] = {pool.add(#name), 0, number};
  STACKTIDE_CONSTANTS(C)
#undef C
  i = 0;
#define K(name, number) block.constant.contracts[i++] = {pool.add(#name), number};
  STACKTIDE_CONTRACTS(K)
#undef K
  i = 0;
#define R(name, type) block.roots[i++] = {pool.add(#name), index_##type, 0, sizeof(type_##type), 0, 0};
  STACKTIDE_ROOTS(R)
#undef R
  for (const char* name : {STACKTIDE_ROOT_VERSION, STACKTIDE_ROOT_EVENT_HOOK, STACKTIDE_ROOT_PENDING_HOOK})
    block.roots[i++] = {pool.add(name), STACKTIDE_NO_TYPE, 0, 1, 0, 0};

  constexpr std::size_t kBase = offsetof(Block, constant);
  block.header = {
      .magic = STACKTIDE_MAGIC,
      .abi_major = STACKTIDE_ABI_MAJOR,
      .abi_minor = STACKTIDE_ABI_MINOR,
      .pointer_size = sizeof(void*),
      .header_size = sizeof(stacktide_header),
      .total_size = sizeof(Block),
      .checksum = checksum(block.constant),
      .self_address = 0,
      .constant_offset = kBase,
      .constant_size = sizeof(Constant),
      .types = table_at(kBase + offsetof(Constant, types), block.constant.types),
      .fields = table_at(kBase + offsetof(Constant, fields), block.constant.fields),
      .enums = table_at(kBase + offsetof(Constant, enums), block.constant.enums),
      .constants = table_at(kBase + offsetof(Constant, constants), block.constant.constants),
      .contracts = table_at(kBase + offsetof(Constant, contracts), block.constant.contracts),
      .names = table_at(kBase + offsetof(Constant, names), block.constant.names),
      .roots = table_at(offsetof(Block, roots), block.roots),
      .reserved = 0,
  };
  return block;
}

// Whole pages of its own, so that dirtying one is enough.
extern "C" {
__attribute__((section(STACKTIDE_SECTION), used, visibility("default"), aligned(64))) constinit Block stacktide_descriptor =
    build();
}

// The way to the descriptor for a stripped program and for a core without its executable (abi.h).
STACKTIDE_NOTE(stacktide_descriptor);
static_assert(STACKTIDE_NOTE_TYPE == 1 && sizeof(STACKTIDE_NOTE_NAME) == sizeof("stacktide"));

// Not a constant expression's business: the version's text is looked up by address.
constexpr char kVersion[] = "stacktide " STACKTIDE_VERSION;
constinit char version_text[sizeof kVersion] = {};

stacktide_root& root(std::size_t index) { return stacktide_descriptor.roots[index]; }

enum RootIndex : std::uint32_t {
#define R(name, type) root_##name,
  STACKTIDE_ROOTS(R)
#undef R
      root_version,
  root_event_hook,
  root_pending_hook
};

void set_root(std::size_t index, const volatile void* address, std::uint64_t count) {
  // Address first: a reader that sees the count sees the address.
  __atomic_store_n(&root(index).address, reinterpret_cast<std::uint64_t>(address), __ATOMIC_RELAXED);
  __atomic_store_n(&root(index).count, count, __ATOMIC_RELEASE);
}

}  // namespace

void publish_descriptor() {
  stacktide_descriptor.header.self_address = reinterpret_cast<std::uint64_t>(&stacktide_descriptor);
  // Every page of the block must be dirty, not just the header's.
  volatile char* bytes = reinterpret_cast<volatile char*>(&stacktide_descriptor);
  for (std::size_t at = 0; at < sizeof(Block); at += 1024) bytes[at] = bytes[at];
  bytes[sizeof(Block) - 1] = bytes[sizeof(Block) - 1];
  std::memcpy(version_text, kVersion, sizeof kVersion);
  set_root(root_version, version_text, sizeof kVersion - 1);
  set_root(root_scheduler, &scheduler, 1);
  set_root(root_goroutine_slabs, &slab_table.slabs, 0);
  set_root(root_hot_splits, hot_splits, kHotSplits);
  set_root(root_stack_maps, &stack_maps, 1);
  set_root(root_event_hook, reinterpret_cast<const void*>(&stacktide_stack_event), 1);
  set_root(root_pending_hook, reinterpret_cast<const void*>(&stacktide_events_pending), 1);
}

void publish_slabs(std::uint64_t count) { set_root(root_goroutine_slabs, &slab_table.slabs, count); }
void publish_ms(std::uint64_t count) { set_root(root_ms, all_ms, count); }
void publish_ps(const P* ps, std::uint64_t count) { set_root(root_ps, ps, count); }
void publish_event_rings(const EventRing* rings, std::uint64_t count) { set_root(root_event_rings, rings, count); }

void publish_spans(const Span* spans, std::uint64_t count, const StackCell* cells, std::uint64_t cell_count) {
  set_root(root_spans, spans, count);
  set_root(root_stack_cells, cells, cell_count);
}

void publish_arena(std::uint64_t lo, std::uint64_t hi) {
  scheduler.arena_lo = lo;
  scheduler.arena_hi = hi;
}

void add_stack_bytes(std::int64_t change) {
  scheduler.stack_bytes.fetch_add(static_cast<std::uint64_t>(change), std::memory_order_relaxed);
}

}  // namespace stacktide::runtime

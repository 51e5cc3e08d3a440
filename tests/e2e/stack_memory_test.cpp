// The exported spans and cells of a real process and of its core: they tile the arena, and each goroutine's stack is one that they say is in use.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "descriptor/layout.h"
#include "descriptor/record.h"
#include "producers/find.h"
#include "support/park.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

struct Span {
  Address lo;
  std::uint64_t size;
  std::uint64_t stack_size;
  Address first;
  std::uint64_t stacks;
  std::uint64_t free;
  std::string state;
};

// What a reader makes of the roots `spans` and `stack_cells`, by abi.h alone.
class StackMemory {
 public:
  explicit StackMemory(Target& target) : memory_(target.memory()) {
    ImageCache images;
    Symbolizer symbolizer(target.memory(), target.modules(), images);
    auto found = find_descriptor(target, images, symbolizer);
    REQUIRE(found.has_value());
    descriptor_ = std::move(found->descriptor);
    layout_ = make_layout(descriptor_);
    const Record scheduler = record("scheduler", layout_.scheduler.record_size, 0);
    arena_lo = scheduler.number(layout_.scheduler.arena_lo);
    arena_hi = scheduler.number(layout_.scheduler.arena_hi);
    stack_bytes = scheduler.number(layout_.scheduler.stack_bytes);
  }

  std::uint64_t units() const { return descriptor_.root("spans")->count; }
  std::uint64_t unit_size() const { return (arena_hi - arena_lo) / units(); }

  // The span that unit n belongs to.
  Span span_of_unit(std::uint64_t n) {
    const auto& fields = layout_.span;
    Record one = record("spans", fields.record_size, n);
    if (one.number(fields.size) == 0) {
      n = (one.number(fields.lo) - arena_lo) / unit_size();
      one = record("spans", fields.record_size, n);
    }
    const EnumTexts* states = enum_texts(descriptor_, "span", "state");
    REQUIRE(states != nullptr);
    const Address lo = one.number(fields.lo);
    return {lo,
            one.number(fields.size),
            one.number(fields.stack_size),
            lo + one.number(fields.first),
            one.number(fields.stacks),
            one.number(fields.free),
            states->at(one.signed_number(fields.state))};
  }

  bool in_use(Address stack) {
    const auto& fields = layout_.stack_cell;
    const auto minimum = static_cast<std::uint64_t>(descriptor_.constants.at("stack_min"));
    const Record cell = record("stack_cells", fields.record_size, (stack - arena_lo) / minimum + 1);
    return cell.number(fields.next) == static_cast<std::uint64_t>(descriptor_.constants.at("stack_in_use"));
  }

  Address arena_lo = 0;
  Address arena_hi = 0;
  std::uint64_t stack_bytes = 0;

 private:
  Record record(const std::string& name, std::uint32_t size, std::uint64_t index) {
    const Descriptor::Root* root = descriptor_.root(name);
    REQUIRE(root != nullptr);
    REQUIRE(index < root->count);
    bytes_.resize(size);
    REQUIRE(memory_.read(root->address + index * root->stride, bytes_).has_value());
    return Record(bytes_);
  }

  Memory& memory_;
  Descriptor descriptor_;
  Layout layout_;
  std::vector<std::byte> bytes_;
};

Address address_of(const nlohmann::json& text) { return std::stoull(text.get<std::string>(), nullptr, 16); }

// list: `list --json` of the same target.
void check(Target& target, const std::string& list, std::uint64_t goroutines) {
  StackMemory stacks(target);
  std::uint64_t in_use = 0;
  std::uint64_t in_use_bytes = 0;
  for (Address at = stacks.arena_lo; at < stacks.arena_hi;) {
    const Span span = stacks.span_of_unit((at - stacks.arena_lo) / stacks.unit_size());
    CAPTURE(at);
    REQUIRE(span.lo == at);
    REQUIRE(span.size > 0);
    CHECK((span.state == "stacks" || span.state == "free"));
    for (std::uint64_t i = 0; i < span.stacks; ++i) {
      const bool used = stacks.in_use(span.first + i * span.stack_size);
      in_use += used;
      in_use_bytes += used ? span.stack_size : 0;
    }
    at += span.size;
  }
  std::uint64_t found = 0;
  const auto json = nlohmann::json::parse(list);
  for (const auto& goroutine : json.at("goroutines")) {
    const Address lo = address_of(goroutine.at("stack").at("lo"));
    const Address hi = address_of(goroutine.at("stack").at("hi"));
    const Span span = stacks.span_of_unit((lo - stacks.arena_lo) / stacks.unit_size());
    CAPTURE(lo);
    CHECK(span.state == "stacks");
    CHECK(span.stack_size == hi - lo);
    CHECK((lo >= span.first && (lo - span.first) % span.stack_size == 0 && (lo - span.first) / span.stack_size < span.stacks));
    CHECK(stacks.in_use(lo));
    ++found;
  }
  CHECK(found == goroutines);
  // Each goroutine has one stack, in one segment, and nobody else has any; Ps keep some more.
  CHECK(in_use == goroutines);
  CHECK(in_use_bytes <= stacks.stack_bytes);
  CHECK(stacks.stack_bytes <= in_use_bytes + 64 * 1024 * 1024);
}

}  // namespace

TEST_CASE("live and in a kernel core, the spans tile the arena, and every goroutine's stack is where they say") {
  constexpr int kGoroutines = 2000;
  Park park(kGoroutines, sample_program("park"), {"STACKTIDE_POLICY=contiguous"});
  {
    const Output list = run({cli_program(), "list", "--json", "--pid", std::to_string(park.child.pid())});
    auto target = open_process(static_cast<std::uint64_t>(park.child.pid()));
    REQUIRE(target.has_value());
    check(**target, list.out, kGoroutines + 1);
  }
  const std::string core = make_core(park.child);
  const Output list = run({cli_program(), "list", "--json", "--core", core});
  auto target = open_core(core);
  REQUIRE(target.has_value());
  check(**target, list.out, kGoroutines + 1);
}

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "walk/stack_maps.h"

#include <doctest/doctest.h>

#include <functional>

#include "support/fake_maps.h"
#include "support/fake_memory.h"
#include "walk/load_stack_maps.h"
#include "walk/map_walk.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kMaps = 0x500000;
using Bytes = std::vector<std::byte>;

FakeMaps example() {
  FakeMaps fake;
  fake.sites = {
      {0x10, STACKTIDE_CFA_RSP, 8, STACKTIDE_SHAPE_MORESTACK, {}, {{STACKTIDE_WORD_FRAME, 1}}, 1U << 1U, 1U << 0U, {}},
      {0x30,
       STACKTIDE_CFA_RBP,
       16,
       STACKTIDE_SHAPE_PINNED,
       {{0, 2}, {STACKTIDE_MAP_RBP, 1}},
       {{STACKTIDE_WORD_FRAME, 3}, {STACKTIDE_WORD_POINTER, 1}, {STACKTIDE_WORD_SCALAR, 4}},
       1U << 0U,
       1U << 2U,
       {{"p", "long *", -32, 8, STACKTIDE_WORD_POINTER}, {"n", "long", 0, 8, STACKTIDE_WORD_SCALAR, 3}}},
      {0x50, STACKTIDE_CFA_RSP, 8, 0, {}, {}, 0, 0, {}, true},
  };
  fake.pins = {{0x00, 0x40, "m", "std::map<int, int>"}, {0x40, 0x60, "", "no debug information"}};
  return fake;
}

StackMaps parsed(const FakeMaps& fake) {
  auto maps = StackMaps::parse(fake.maps(kMaps), kMaps, fake.names());
  REQUIRE(maps);
  return std::move(*maps);
}

MapSite site_at(const StackMaps& maps, Address pc) {
  auto site = maps.site(pc);
  REQUIRE(site);
  REQUIRE(*site);
  return **site;
}

std::string refused(const std::function<void(Bytes& maps, Bytes& names)>& damage) {
  auto maps = example().maps(kMaps);
  auto names = example().names();
  damage(maps, names);
  const auto read = StackMaps::parse(std::move(maps), kMaps, std::move(names));
  REQUIRE_FALSE(read);
  return read.error().context;
}

}  // namespace

TEST_CASE("a site is found by its return address, with its CFA, words, registers and variables") {
  const auto maps = parsed(example());
  CHECK(maps.site_pcs() == std::vector<Address>{0x400010, 0x400030, 0x400050});
  const auto site = site_at(maps, 0x400030);
  CHECK(site.known);
  CHECK(site.cfa_text() == "rbp+16");
  CHECK(site.pinned);
  CHECK_FALSE(site.morestack);
  CHECK(site.kind(0) == WordKind::frame);
  CHECK(site.saved_register(1) == 6);
  CHECK(site.saved_register(2) == 3);
  CHECK_FALSE(site.saved_register(3));
  CHECK(site.kind(3) == WordKind::pointer);
  CHECK(site.kind(7) == WordKind::scalar);
  CHECK(site.kind(8) == WordKind::unknown);
  CHECK(site.registers[3] == WordKind::scalar);
  CHECK(site.registers[12] == WordKind::pointer);
  REQUIRE(site.variables.size() == 2);
  CHECK(site.variables[0].name == "p");
  CHECK(site.variables[0].type == "long *");
  CHECK(site.variables[0].offset == -32);
  CHECK_FALSE(site.variables[0].reg);
  CHECK(site.variables[1].reg == 3);
}

TEST_CASE("in a stack check the registers are those of the arguments") {
  const auto site = site_at(parsed(example()), 0x400010);
  CHECK(site.morestack);
  CHECK(site.registers[5] == WordKind::pointer);  // rdi
  CHECK(site.registers[4] == WordKind::scalar);   // rsi
}

TEST_CASE("an address that is no site has no map; a site without a shape says nothing of its frame") {
  const auto maps = parsed(example());
  for (const Address pc : {0x3fffffUL, 0x400000UL, 0x400011UL, 0x400031UL, 0x410000UL, 0x410001UL}) {
    const auto site = maps.site(pc);
    REQUIRE(site);
    CHECK_FALSE(*site);
  }
  CHECK_FALSE(site_at(maps, 0x400050).known);
}

TEST_CASE("pins are those of the call before a return address") {
  const auto maps = parsed(example());
  REQUIRE(maps.pins(0x400030).size() == 1);
  CHECK(maps.pins(0x400030)[0].name == "m");
  CHECK(maps.pins(0x400040)[0].name == "m");
  CHECK(maps.pins(0x400041)[0].type == "no debug information");
  CHECK(maps.pins(0x400061).empty());
  CHECK(maps.pins(0x300000).empty());
}

TEST_CASE("without names there are kinds") {
  const auto maps = StackMaps::parse(example().maps(kMaps), kMaps, {});
  REQUIRE(maps);
  CHECK_FALSE(maps->has_names());
  CHECK(site_at(*maps, 0x400030).variables.empty());
  CHECK(site_at(*maps, 0x400030).kind(3) == WordKind::pointer);
  CHECK(maps->pins(0x400030).empty());
}

TEST_CASE("damaged maps are refused, with what is wrong") {
  using Header = stacktide_maps_header;
  const auto header = [](Bytes& maps) -> Header& { return at<Header>(maps, 0); };
  CHECK(refused([](Bytes& maps, Bytes&) { maps.resize(8); }) ==
        "stack maps: stack maps are 8 bytes, less than their header");
  CHECK(refused([&](Bytes& maps, Bytes&) { header(maps).magic = 7; }) ==
        "stack maps: stack maps begin with 0x7, not 0x70616d73");
  CHECK(refused([&](Bytes& maps, Bytes&) { header(maps).version = 9; }) ==
        "stack maps are version 9, this stacktide knows 1");
  CHECK(refused([&](Bytes& maps, Bytes&) {
          header(maps).size = 10'000;
        }).starts_with("stack maps: stack maps say that they are 10000 bytes, of which"));
  CHECK(refused([&](Bytes& maps, Bytes&) {
          header(maps).region_count = 0x10000000;
        }).starts_with("stack maps: the regions from 40 on"));
  CHECK(
      refused([&](Bytes& maps, Bytes&) { header(maps).site_count = 0xffffffff; }).starts_with("stack maps: the sites from"));
  CHECK(refused([&](Bytes& maps, Bytes&) {
          header(maps).shape_offset = 0xfffffff0;
        }).starts_with("stack maps: the shapes from"));
  const auto region = [](Bytes& maps) -> stacktide_map_region& { return at<stacktide_map_region>(maps, sizeof(Header)); };
  CHECK(refused([&](Bytes& maps, Bytes&) { region(maps).site_count = 4; }) == "stack maps: region 0 has sites 0 to 4, of 3");
  CHECK(refused([&](Bytes& maps, Bytes&) { region(maps).site_count = 2; }) == "stack maps: 2 of 3 sites are in a region");
  CHECK(refused([&](Bytes& maps, Bytes&) { region(maps).size = 0x20; }) == "stack maps: site 1 at 0x400030 is out of order");
  const auto site = [](Bytes& maps, std::size_t n) -> stacktide_map_site& {
    return at<stacktide_map_site>(maps, sizeof(Header) + sizeof(stacktide_map_region) + n * sizeof(stacktide_map_site));
  };
  CHECK(refused([&](Bytes& maps, Bytes&) { site(maps, 1).pc = 0x10; }) == "stack maps: site 1 at 0x400010 is out of order");
  CHECK(refused([&](Bytes& maps, Bytes&) { site(maps, 1).shape = 0xffffe; }) ==
        "stack maps: site 1 at 0x400030 has no believable shape");
  const auto shape = [&](Bytes& maps) -> stacktide_map_shape& {
    return at<stacktide_map_shape>(maps, header(maps).shape_offset);
  };
  CHECK(refused([&](Bytes& maps, Bytes&) { shape(maps).runs = 0xffff; }).ends_with("no believable shape"));
  CHECK(refused([&](Bytes& maps, Bytes&) { shape(maps).cfa = 3; }).ends_with("no believable shape"));
  CHECK(refused([&](Bytes& maps, Bytes&) { shape(maps).saved = 0x80; }).ends_with("no believable shape"));
}

TEST_CASE("damaged names are refused; a list is looked at when it is asked for") {
  using Header = stacktide_names_header;
  const auto header = [](Bytes& names) -> Header& { return at<Header>(names, 0); };
  CHECK(refused([&](Bytes&, Bytes& names) { header(names).magic = 7; }) ==
        "stack maps: names of stack maps begin with 0x7, not 0x6d616e73");
  CHECK(refused([&](Bytes&, Bytes& names) { header(names).site_count = 4; }) == "stack maps: names for 4 sites, of 3");
  CHECK(
      refused([&](Bytes&, Bytes& names) { header(names).pin_count = 0x1000000; }).starts_with("stack maps: the pins from"));
  CHECK(refused([&](Bytes&, Bytes& names) { names.back() = std::byte{'x'}; }) == "stack maps: the last text has no end");
  auto names = example().names();
  at<std::uint32_t>(names, sizeof(Header) + 4) = 0xfffffff0;
  const auto maps = StackMaps::parse(example().maps(kMaps), kMaps, names);
  REQUIRE(maps);
  const auto site = maps->site(0x400030);
  REQUIRE_FALSE(site);
  CHECK(describe(site.error()) == "stack maps: the names of site 1 do not fit in their block at 0x400030");
  CHECK(maps->site(0x400010));
}

TEST_CASE("maps are read from memory; that there are none, or that they are absent, is said") {
  FakeMemory memory;
  memory.put_bytes(kMaps, example().maps(kMaps));
  StackMapsInfo info;
  info.address = kMaps;
  info.size = example().maps(kMaps).size();
  ImageCache images;
  const auto loaded = load_stack_maps(info, memory, {}, images);
  REQUIRE(loaded);
  CHECK(loaded->maps.site_count() == 3);
  CHECK(
      describe(load_stack_maps({}, memory, {}, images).error()) ==
      "the program has no stack maps: link it with stacktide_goroutines(target), by a stacktide-link that writes them, and "
      "with -g");
  memory.punch(kMaps + 8, 1);
  std::vector<Module> modules(1);
  modules[0].path = "/usr/bin/fake";
  modules[0].start = 0x400000;
  modules[0].end = 0x600000;
  modules[0].problem = "/usr/bin/fake is gone";
  CHECK(describe(load_stack_maps(info, memory, modules, images).error()) ==
        "the stack maps are not in the target's memory, and /usr/bin/fake is gone: give the executable with --exe");
  info.size = kMaxMapBytes + 1;
  CHECK(load_stack_maps(info, memory, {}, images).error().code == ErrorCode::damaged_data);
}

TEST_CASE("a frame's record leads to its caller") {
  FakeMemory memory;
  memory.put<Address>(0x7000f8, 0x400099);  // return address
  memory.put<Address>(0x7000f0, 0x700200);  // the caller's rbp
  const auto maps = parsed(example());
  const auto step = step_by_map(site_at(maps, 0x400030), {0x400030, 0x700080, 0x7000f0}, memory);
  REQUIRE(step);
  CHECK(step->cfa == 0x700100);
  CHECK(step->caller.pc == 0x400099);
  CHECK(step->caller.sp == 0x700100);
  CHECK(step->caller.bp == 0x700200);
  const auto stuck = step_by_map(site_at(maps, 0x400030), {0x400030, 0x700080, 0x700000}, memory);
  CHECK(stuck.error().context == "the map of 0x400030 puts the CFA at 0x700010, not above sp 0x700080");
  MapSite aligned;
  aligned.known = true;
  aligned.cfa_rule = STACKTIDE_CFA_AT_RBP;
  aligned.cfa_offset = -8;
  memory.put<Address>(0x7000e0, 0x700300);
  memory.put<Address>(0x7000d8, 0x700100);
  const auto through = step_by_map(aligned, {0x400040, 0x700080, 0x7000e0}, memory);
  REQUIRE(through);
  CHECK(through->cfa == 0x700100);
  CHECK(through->caller.bp == 0x700300);
}

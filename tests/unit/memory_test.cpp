#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <array>

#include "support/elf_builder.h"
#include "support/fake_memory.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

// Gives one byte at a time, as an adapter that stops at every boundary would.
class SlowMemory : public FakeMemory {
 public:
  std::size_t read_up_to(Address address, std::span<std::byte> out) override {
    return FakeMemory::read_up_to(address, out.first(std::min<std::size_t>(out.size(), 1)));
  }
};

// Says that all of it is there, whatever is asked.
class EndlessMemory : public Memory {
 public:
  std::size_t read_up_to(Address, std::span<std::byte> out) override {
    std::ranges::fill(out, std::byte{'x'});
    return out.size();
  }
};

}  // namespace

TEST_CASE("a read that is partly absent fails at the first absent byte") {
  FakeMemory memory;
  memory.put(0x1000, std::uint64_t{0x1122334455667788});
  CHECK(*memory.read_value<std::uint64_t>(0x1000) == 0x1122334455667788);
  const auto partly = memory.read_value<std::uint64_t>(0x1004);
  REQUIRE_FALSE(partly);
  CHECK(partly.error().code == ErrorCode::memory_fault);
  CHECK(partly.error().address == 0x1008);
  CHECK(describe(partly.error()) == "a read of 8 bytes from 0x1004 fails at 0x1008 (not mapped, or left out of the core)");
  const auto nothing = memory.read_value<std::uint64_t>(0x2000);
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().address == 0x2000);
  CHECK(describe(nothing.error()) == "a read of 8 bytes fails at 0x2000 (not mapped, or left out of the core)");
}

TEST_CASE("a hole in the middle is named although bytes follow it") {
  FakeMemory memory;
  memory.put(0x1000, std::array<char, 64>{});
  memory.punch(0x1020, 1);
  std::array<std::byte, 64> out;
  CHECK(memory.read(0x1000, out).error().address == 0x1020);
}

TEST_CASE("short reads are continued") {
  SlowMemory memory;
  memory.put(0x1000, std::uint64_t{42});
  CHECK(*memory.read_value<std::uint64_t>(0x1000) == 42);
  CHECK(memory.read_value<std::uint64_t>(0x1001).error().address == 0x1008);
}

TEST_CASE("a read past the end of the address space fails there") {
  EndlessMemory memory;
  std::array<std::byte, 16> out;
  const Address last = ~Address{0};
  CHECK(memory.read(last - 15, out).has_value());
  CHECK_FALSE(memory.read(last - 14, out).has_value());
  CHECK(memory.read(0, out).has_value());
}

TEST_CASE("an empty read succeeds anywhere") {
  FakeMemory memory;
  CHECK(memory.read(0x5000, {}).has_value());
}

TEST_CASE("a string ends at its zero byte, also across a page") {
  FakeMemory memory;
  const Bytes text = bytes_of(std::string(300, 'a') + std::string("b\0c", 3));
  memory.put_bytes(0x1f80, text);
  CHECK(*memory.read_string(0x1f80, 4096) == std::string(300, 'a') + "b");
  CHECK(*memory.read_string(0x1f80 + 301, 4096) == "");
}

TEST_CASE("a string without an end is cut at the limit") {
  EndlessMemory memory;
  CHECK(*memory.read_string(0x1000, 1000) == std::string(1000, 'x'));
  CHECK(*memory.read_string(0x1000, 0) == "");
}

TEST_CASE("a string that runs into absent memory fails there") {
  FakeMemory memory;
  memory.put_bytes(0x1000, bytes_of("abc"));
  const auto text = memory.read_string(0x1000, 100);
  REQUIRE_FALSE(text);
  CHECK(text.error().code == ErrorCode::memory_fault);
  CHECK(text.error().address == 0x1003);
  CHECK(*memory.read_string(0x1000, 3) == "abc");
}

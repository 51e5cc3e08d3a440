#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "descriptor/descriptor.h"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "descriptor/layout.h"
#include "descriptor/record.h"
#include "support/fake_runtime.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

Result<Descriptor> read_block(const std::vector<std::byte>& block, Address address = 0x10000) {
  FakeMemory memory;
  memory.put_bytes(address, block);
  return read_descriptor(memory, address);
}

// The error after one change to a valid image.
Error error_after(const std::function<void(DescriptorImage&)>& change) {
  FakeRuntime runtime;
  change(runtime.image);
  const auto result = read_block(runtime.image.encode());
  REQUIRE_FALSE(result);
  return result.error();
}

// The error after one change to the encoded block; the checksum is made right again.
Error error_after_bytes(const std::function<void(std::vector<std::byte>&, stacktide_header&)>& change, bool sealed = true) {
  FakeRuntime runtime;
  auto block = runtime.image.encode();
  change(block, header_of(block));
  if (sealed) seal(block);
  const auto result = read_block(block);
  REQUIRE_FALSE(result);
  return result.error();
}

void check(const Error& error, ErrorCode code, const std::string& context) {
  CHECK(code_name(error.code) == code_name(code));
  CHECK(error.context == context);
  CHECK(error.address == 0x10000);
}

void check_bad(const Error& error, const std::string& what) {
  check(error, ErrorCode::bad_descriptor, "descriptor: " + what);
}

Layout layout_after(const std::function<void(DescriptorImage&)>& change) {
  FakeRuntime runtime;
  change(runtime.image);
  const auto descriptor = read_block(runtime.image.encode());
  REQUIRE(descriptor);
  return make_layout(*descriptor);
}

#define STACKTIDE_ONE(type) +1
constexpr std::uint32_t kTypes = 0 STACKTIDE_TYPES(STACKTIDE_ONE);
#undef STACKTIDE_ONE

}  // namespace

TEST_CASE("a valid descriptor is read in full") {
  FakeRuntime runtime;
  const auto result = read_block(runtime.image.encode());
  REQUIRE(result);
  CHECK(result->address == 0x10000);
  CHECK(result->abi_major == 1);
  CHECK(result->types.size() == kTypes);
  CHECK(result->constants.at("stack_guard") == 928);
  CHECK(result->constants.at("guard_preempt") == -1314);
  CHECK(result->enums.at("status").at(4) == "waiting");
  CHECK(result->enums.at("wait_reason").at(0) == "");
  CHECK(result->contracts.at("events") == 1);
  CHECK(result->root("ms")->stride == runtime.size_of("m"));
  CHECK(result->root("nothing") == nullptr);
  const auto layout = make_layout(*result);
  CHECK(layout.goroutine.stack_lo.offset == 8);
  CHECK(layout.goroutine.stack_lo.width == 8);
  CHECK(layout.goroutine.record_size == runtime.size_of("goroutine"));
  CHECK(layout.disabled.empty());
  CHECK((layout.goroutines && layout.saved_context && layout.segments && layout.scheduler_on && layout.events));
}

TEST_CASE("larger strides and unknown names are no reason to refuse") {
  FakeRuntime runtime;
  runtime.image.types.push_back({runtime.image.name("timer"), 24});
  runtime.image.fields.push_back({8, runtime.image.name("when"), 0, 3, 77});
  runtime.image.constants.push_back({runtime.image.name("answer"), 0, 42});
  const auto result = read_block(runtime.image.encode());
  REQUIRE(result);
  CHECK(make_layout(*result).disabled.empty());
}

TEST_CASE("what is absent from memory is a fault at the first missing byte") {
  FakeRuntime runtime;
  auto block = runtime.image.encode();
  block.resize(block.size() - 16);
  const auto cut = read_block(block);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == ErrorCode::memory_fault);
  CHECK(cut.error().address == 0x10000 + block.size());
  block.resize(10);
  CHECK(read_block(block).error().code == ErrorCode::memory_fault);
}

TEST_CASE("magic in the other byte order is another machine, any other is no descriptor") {
  check(error_after_bytes([](auto&, auto& header) { header.magic = __builtin_bswap64(STACKTIDE_MAGIC); }),
        ErrorCode::unsupported_target, "the runtime is of the other byte order");
  check_bad(error_after_bytes([](auto&, auto& header) { header.magic = 1; }),
            "magic is 0000000000000001, 01656469746b7473 expected");
}

TEST_CASE("another major version and other pointers are refused by name") {
  check(error_after_bytes([](auto&, auto& header) { header.abi_major = 2; }), ErrorCode::unsupported_contract,
        "the runtime speaks ABI 2.0, this stacktide 1.0");
  check(error_after_bytes([](auto&, auto& header) { header.pointer_size = 4; }), ErrorCode::unsupported_target,
        "the runtime has pointers of 4 bytes");
}

TEST_CASE("sizes of the header and of the block are bounded") {
  check_bad(error_after_bytes([](auto&, auto& header) { header.total_size = 65537; }),
            "65537 bytes, at most 65536 expected");
  check_bad(error_after_bytes([](auto&, auto& header) { header.total_size = 100; }),
            "header of 128 bytes in a block of 100");
  check_bad(error_after_bytes([](auto&, auto& header) { header.header_size = 8; }),
            "header of 8 bytes in a block of " + std::to_string(FakeRuntime().image.encode().size()));
}

TEST_CASE("a copy that lies elsewhere is not the descriptor") {
  check_bad(error_after_bytes([](auto&, auto& header) { header.self_address = 0x20000; }),
            "it says that it lies at 0x20000");
}

TEST_CASE("one flipped bit in the constant part breaks the checksum") {
  const auto error =
      error_after_bytes([](auto& block, auto& header) { block[header.types.offset + 5] ^= std::byte{1}; }, false);
  CHECK(error.context.starts_with("descriptor: checksum is "));
}

TEST_CASE("the constant part lies inside the block and after the header") {
  const std::string what = "the constant part lies outside the block";
  check_bad(error_after_bytes([](auto&, auto& header) { header.constant_size = 0xffffffff; }, false), what);
  check_bad(error_after_bytes([](auto&, auto& header) { header.constant_offset = 0; }, false), what);
}

TEST_CASE("every table lies inside the block, with entries of the known size") {
  check_bad(error_after_bytes([](auto&, auto& header) { header.fields.count = 0x10000000; }),
            "table fields lies outside the block");
  check_bad(error_after_bytes([](auto&, auto& header) { header.roots.offset = 0xfffffff0; }),
            "table roots lies outside the block");
  check_bad(error_after_bytes([](auto&, auto& header) { header.enums.offset = 0; }), "table enums lies outside the block");
  check_bad(error_after_bytes([](auto&, auto& header) { header.types.stride = 4; }),
            "types entries of 4 bytes, at least 8 expected");
  check_bad(error_after_bytes([](auto&, auto& header) { header.fields.stride = 0; }),
            "fields entries of 0 bytes, at least 20 expected");
  check_bad(error_after_bytes([](auto&, auto& header) {
              header.names.stride = 2;
              header.names.count /= 2;
            }),
            "names are not bytes");
}

TEST_CASE("names lie inside the pool, end there, and are printable") {
  check_bad(error_after([](auto& image) { image.types[0].name = 0x7fffffff; }), "the name of type 0 lies outside the names");
  check_bad(error_after([](auto& image) {
              image.types[0].name = image.name("endless");
              image.names.pop_back();
            }),
            "the name of type 0 does not end");
  check_bad(error_after([](auto& image) { image.types[0].name = 0; }), "type 0 has no name");
  check_bad(error_after([](auto& image) { image.enums[2].text = image.name("\x1b[31m"); }),
            "the name of the text of enumerator 2 holds control characters");
}

TEST_CASE("types have a size, and no two one name") {
  check_bad(error_after([](auto& image) { image.types[1].size = 0; }), "type segment of 0 bytes");
  check_bad(error_after([](auto& image) { image.types[1].size = 0x7fffffff; }), "type segment of 2147483647 bytes");
  check_bad(error_after([](auto& image) { image.types[1].name = image.types[0].name; }), "type goroutine is there twice");
}

TEST_CASE("fields lie inside their type, are as wide as their kind, and no two have one name") {
  check_bad(error_after([](auto& image) { image.fields[0].type = kTypes; }),
            "field stack_lo belongs to type " + std::to_string(kTypes) + " of " + std::to_string(kTypes));
  const auto size = std::to_string(FakeRuntime().size_of("slab"));
  check_bad(error_after([](auto& image) { image.field("slab", "used").offset = 0xfffffffc; }),
            "field slab.used at 4294967292, 8 bytes, in a type of " + size);
  check_bad(error_after([](auto& image) { image.field("slab", "used").width = 0; }),
            "field slab.used at 24, 0 bytes, in a type of " + size);
  check_bad(error_after([](auto& image) { image.field("slab", "used").width = 3; }),
            "field slab.used of kind 1 is 3 bytes wide");
  check_bad(error_after([](auto& image) { image.field("slab", "address").width = 4; }),
            "field slab.address of kind 3 is 4 bytes wide");
  check_bad(error_after([](auto& image) { image.field("p", "run_queue").width = 60; }),
            "field p.run_queue of kind 6 is 60 bytes wide");
  check_bad(error_after([](auto& image) { image.fields[1].name = image.fields[0].name; }),
            "field goroutine.stack_lo is there twice");
}

TEST_CASE("enumerators, constants, contracts and roots are unambiguous") {
  check_bad(error_after([](auto& image) { image.enums[1].value = 0; }), "enumeration status has two texts for 0");
  check_bad(error_after([](auto& image) { image.constants[1].name = image.constants[0].name; }),
            "constant stack_min is there twice");
  check_bad(error_after([](auto& image) { image.contracts[1].name = image.contracts[0].name; }),
            "contract goroutines is there twice");
  check_bad(error_after([](auto& image) { image.roots[1].name = image.roots[0].name; }),
            "root goroutine_slabs is there twice");
}

TEST_CASE("roots are of a known type, and their elements do not overlap") {
  check_bad(error_after([](auto& image) { image.root("ms").type = 100; }),
            "root ms is of type 100 of " + std::to_string(kTypes));
  const auto size = std::to_string(FakeRuntime().size_of("m"));
  check_bad(error_after([](auto& image) { image.root("ms").stride = 4; }),
            "root ms has a stride of 4, its type " + size + " bytes");
  check_bad(error_after([](auto& image) { image.root("ms").stride = 0xffffffff; }), "root ms has a stride of 4294967295");
}

TEST_CASE("a contract of an unknown version turns off its feature only") {
  const auto layout = layout_after([](auto& image) { image.contract("events").version = 9; });
  CHECK_FALSE(layout.events);
  CHECK(layout.goroutines);
  REQUIRE(layout.disabled.size() == 1);
  CHECK(layout.disabled[0] == "contract events is version 9, this stacktide knows 1: history is off");
}

TEST_CASE("a contract or root that is not exported turns off its feature") {
  const auto without_contract = layout_after([](auto& image) { image.contract("segments").name = image.name("other"); });
  CHECK_FALSE(without_contract.segments);
  CHECK(without_contract.disabled ==
        std::vector<std::string>{"contract segments is not exported: older stack segments are off"});
  // The boundaries need no contract.
  const auto without_splits = layout_after([](auto& image) { image.remove_field("hot_split", "count"); });
  CHECK_FALSE(without_splits.hot_splits);
  CHECK(without_splits.disabled.front() == "hot_split.count is not exported: the list of boundaries is off");
  const auto without_root = layout_after([](auto& image) { image.root("ps").name = image.name("other"); });
  CHECK_FALSE(without_root.scheduler_on);
  CHECK(
      without_root.disabled ==
      std::vector<std::string>{"root ps of type p is not exported: sched is off"});
  const auto wrong_type = layout_after([](auto& image) { image.root("ps").type = STACKTIDE_NO_TYPE; });
  CHECK_FALSE(wrong_type.scheduler_on);
}

TEST_CASE("a missing field turns off what needs it, and is named when nothing does") {
  const auto needed = layout_after([](auto& image) { image.remove_field("goroutine", "status"); });
  CHECK_FALSE(needed.goroutines);
  CHECK(needed.disabled[0] == "goroutine.status is not exported: the list of goroutines is off");
  const auto optional = layout_after([](auto& image) {
    image.remove_field("goroutine", "label");
    image.remove_field("goroutine", "links");
  });
  CHECK(optional.goroutines);
  CHECK(optional.disabled == std::vector<std::string>{"goroutine.links, label not exported: unknown"});
}

TEST_CASE("numbers stand in for each other, text does not stand in for a number") {
  const auto signed_id = layout_after([](auto& image) { image.field("goroutine", "id").kind = STACKTIDE_KIND_SIGNED; });
  CHECK(signed_id.goroutines);
  const auto text_id = layout_after([](auto& image) { image.field("goroutine", "id").kind = STACKTIDE_KIND_TEXT; });
  CHECK_FALSE(text_id.goroutines);
}

TEST_CASE("fields are read by width and kind, and absent ones as 0") {
  std::vector<std::byte> bytes(32, std::byte{0xff});
  std::memcpy(bytes.data() + 8, "ab\x1b\0cd", 6);
  const Record record(bytes);
  CHECK(record.number({0, 2, STACKTIDE_KIND_UNSIGNED}) == 0xffff);
  CHECK(record.signed_number({0, 2, STACKTIDE_KIND_SIGNED}) == -1);
  CHECK(record.number({0, 8, STACKTIDE_KIND_UNSIGNED}) == ~std::uint64_t{0});
  CHECK(record.number({30, 8, STACKTIDE_KIND_UNSIGNED}) == 0);
  CHECK(record.number({}) == 0);
  CHECK(record.text({8, 6, STACKTIDE_KIND_TEXT}) == "ab\\x1b");
  CHECK(record.text({8, 2, STACKTIDE_KIND_TEXT}) == "ab");
  CHECK(record.address_at({16, 16, STACKTIDE_KIND_ADDRESSES}, 1) == ~std::uint64_t{0});
  CHECK(record.address_at({16, 16, STACKTIDE_KIND_ADDRESSES}, 2) == 0);
}

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "elf/image.h"

#include <doctest/doctest.h>
#include <libelf.h>
#include <sys/stat.h>

#include "elf/elf_headers.h"
#include "elf/module_headers.h"
#include "support/core_dump.h"
#include "support/fake_memory.h"
#include "support/process.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

ErrorCode code_of_open(const std::string& path) {
  const auto image = Image::open(path);
  REQUIRE_FALSE(image);
  return image.error().code;
}

}  // namespace

TEST_CASE("a real executable has segments, a build-id and the bytes of its file") {
  const auto image = Image::open(test_program("sleeper"));
  REQUIRE(image);
  CHECK((*image)->type() == ET_DYN);
  CHECK((*image)->build_id().size() == 40);
  const Bytes file = read_file(test_program("sleeper"));
  REQUIRE((*image)->bytes().size() == file.size());
  std::array<std::byte, 64> start;
  CHECK((*image)->read_up_to(0, start) == 64);
  CHECK(std::equal(start.begin(), start.end(), file.begin()));
  CHECK((*image)->elf() != nullptr);
  // The build-id agrees with another reader's.
  const Output readelf = run({"readelf", "-n", test_program("sleeper")});
  CHECK(readelf.out.find("Build ID: " + (*image)->build_id()) != std::string::npos);
}

TEST_CASE("bytes are read by the file's addresses, and short where the file holds fewer") {
  TempDir folder;
  ElfBuilder builder(ET_EXEC);
  builder.add(PT_LOAD, 0x1000, bytes_of("abcdefgh"), PF_R, 0x100);
  builder.add(PT_LOAD, 0x2000, bytes_of("ijkl"));
  builder.add(PT_LOAD, 0x2004, bytes_of("mnop"));
  const auto image = Image::open(builder.write(folder / "file"));
  REQUIRE(image);
  std::array<std::byte, 16> out{};
  CHECK((*image)->read_up_to(0x1004, out) == 4);  // the rest is .bss
  CHECK((*image)->read_up_to(0x1008, out) == 0);
  CHECK((*image)->read_up_to(0xfff, out) == 0);
  CHECK((*image)->read_up_to(0x2002, out) == 6);  // over the seam
  CHECK(std::string_view(reinterpret_cast<const char*>(out.data()), 6) == "klmnop");
  CHECK((*image)->read_up_to(~Address{0}, out) == 0);
}

TEST_CASE("what is no ELF file of this kind is refused with the reason") {
  TempDir folder;
  CHECK(code_of_open(folder / "none") == ErrorCode::io_error);
  CHECK(code_of_open(folder.path()) == ErrorCode::io_error);
  CHECK(code_of_open(write_file(folder / "empty", {})) == ErrorCode::not_an_elf_file);
  CHECK(code_of_open(write_file(folder / "text", bytes_of("#!/bin/sh\n"))) == ErrorCode::not_an_elf_file);
  CHECK(code_of_open(write_file(folder / "magic", bytes_of("\177ELF"))) == ErrorCode::unsupported_target);
  const std::string fifo = folder / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(code_of_open(fifo) == ErrorCode::io_error);  // and does not wait for a writer

  const auto with = [&](auto change) {
    ElfBuilder builder(ET_EXEC);
    builder.add(PT_LOAD, 0x1000, bytes_of("text"));
    builder.layout();
    change(builder);
    return code_of_open(builder.write(folder / "broken"));
  };
  CHECK(with([](ElfBuilder& b) { b.header().e_ident[EI_CLASS] = ELFCLASS32; }) == ErrorCode::unsupported_target);
  CHECK(with([](ElfBuilder& b) { b.header().e_ident[EI_DATA] = ELFDATA2MSB; }) == ErrorCode::unsupported_target);
  CHECK(with([](ElfBuilder& b) { b.header().e_machine = EM_AARCH64; }) == ErrorCode::unsupported_target);
  CHECK(with([](ElfBuilder& b) { b.header().e_phnum = 60000; }) == ErrorCode::not_an_elf_file);
  CHECK(with([](ElfBuilder& b) { b.header().e_phentsize = 1; }) == ErrorCode::not_an_elf_file);
  CHECK(with([](ElfBuilder& b) { b.header().e_phoff = ~std::uint64_t{0} - 8; }) == ErrorCode::not_an_elf_file);
  CHECK(with([](ElfBuilder& b) {
          b.header().e_phnum = PN_XNUM;
          b.header().e_shoff = ~std::uint64_t{0};
        }) == ErrorCode::not_an_elf_file);
}

TEST_CASE("a segment that promises more than the file holds reads short") {
  TempDir folder;
  ElfBuilder builder(ET_EXEC);
  builder.add(PT_LOAD, 0x1000, bytes_of("abcd"));
  builder.layout();
  builder.segment(0).p_filesz = builder.segment(0).p_memsz = ~std::uint64_t{0};
  const auto image = Image::open(builder.write(folder / "file"));
  REQUIRE(image);
  std::array<std::byte, 16> out{};
  CHECK((*image)->read_up_to(0x1000, out) == 4);
  CHECK((*image)->read_up_to(0x0fff, out) == 0);
}

TEST_CASE("the cache opens once and remembers failures") {
  TempDir folder;
  ImageCache cache;
  std::string problem;
  CHECK(cache.get(folder / "late", &problem) == nullptr);
  CHECK(problem == (folder / "late") + ": No such file or directory");
  ElfBuilder(ET_EXEC).write(folder / "late");
  CHECK(cache.get(folder / "late") == nullptr);
  Image* image = cache.get(test_program("sleeper"), &problem);
  REQUIRE(image != nullptr);
  CHECK(problem == "");
  CHECK(cache.get(test_program("sleeper")) == image);
}

TEST_CASE("notes are walked up to the first malformed one") {
  Bytes block = joined({note("GNU", 1, bytes_of("four")), note("stacktide", 7, bytes_of("12345678"))});
  const std::size_t good = block.size();
  append(block, std::uint32_t{4});
  append(block, ~std::uint32_t{0});  // a payload beyond the block
  append(block, std::uint32_t{1});
  append(block, std::string_view("GNU\0", 4));
  struct Seen {
    std::string name;
    std::uint32_t type;
    std::uint64_t offset;
    std::size_t size;
  };
  std::vector<Seen> seen;
  const auto walk = [&](std::span<const std::byte> bytes, std::uint64_t alignment) {
    seen.clear();
    for_each_note(bytes, alignment,
                  [&](std::string_view name, std::uint32_t type, std::uint64_t offset, std::span<const std::byte> payload) {
                    seen.push_back({std::string(name), type, offset, payload.size()});
                    return true;
                  });
  };
  walk(block, 4);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].name == "GNU");
  CHECK(seen[0].offset == 16);
  CHECK(seen[1].name == "stacktide");
  CHECK(seen[1].type == 7);
  CHECK(seen[1].offset == 20 + 12 + 12);
  CHECK(seen[1].size == 8);
  for (std::size_t size = 0; size <= good; ++size) walk(std::span(block).first(size), 4);  // every cut is survived
  CHECK(seen.size() == 2);
  walk(note("GNU", 5, bytes_of("abc"), 8), 8);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].offset == 16);
}

TEST_CASE("a module's headers are read from memory") {
  FakeMemory memory;
  memory.put_bytes(0x7f0000000000, module_page("\x12\x34\xab"));
  const auto headers = read_module_headers(memory, 0x7f0000000000);
  REQUIRE(headers);
  CHECK(headers->type == ET_DYN);
  CHECK(headers->load_bias == 0x7f0000000000);
  CHECK(headers->entry == 0x1000);
  CHECK(headers->end == 0x7f0000003000);
  CHECK(headers->build_id == "1234ab");
  REQUIRE(headers->notes.size() == 1);
  CHECK(headers->notes[0].address == 0x7f0000000000 + sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr));

  memory.put_bytes(0x400000, module_page("", ET_EXEC));
  const auto fixed = read_module_headers(memory, 0x400000);
  REQUIRE(fixed);
  CHECK(fixed->load_bias == 0);
  CHECK(fixed->build_id == "");
  CHECK(fixed->end == 0x403000);
}

TEST_CASE("hostile headers in memory are errors or left out") {
  const Address at = 0x10000;
  const auto code_with = [&](auto change) {
    FakeMemory memory;
    Bytes page = module_page("id");
    Elf64_Ehdr header;
    std::memcpy(&header, page.data(), sizeof header);
    std::array<Elf64_Phdr, 4> segments;
    std::memcpy(segments.data(), page.data() + sizeof header, sizeof segments);
    change(header, segments);
    std::memcpy(page.data(), &header, sizeof header);
    std::memcpy(page.data() + sizeof header, segments.data(), sizeof segments);
    memory.put_bytes(at, page);
    return read_module_headers(memory, at);
  };
  using Segments = std::array<Elf64_Phdr, 4>;
  CHECK(code_with([](Elf64_Ehdr& h, Segments&) { h.e_type = ET_CORE; }).error().code == ErrorCode::damaged_data);
  CHECK(code_with([](Elf64_Ehdr& h, Segments&) { h.e_phnum = 0; }).error().code == ErrorCode::damaged_data);
  CHECK(code_with([](Elf64_Ehdr& h, Segments&) { h.e_phnum = 60000; }).error().code == ErrorCode::damaged_data);
  CHECK(code_with([](Elf64_Ehdr& h, Segments&) { h.e_phnum = 200; }).error().code == ErrorCode::memory_fault);
  CHECK(code_with([](Elf64_Ehdr& h, Segments&) { h.e_phoff = ~std::uint64_t{0}; }).error().code == ErrorCode::damaged_data);
  CHECK(code_with([](Elf64_Ehdr&, Segments& s) { s[0].p_offset = 0x5000; }).error().code == ErrorCode::damaged_data);
  CHECK(code_with([](Elf64_Ehdr&, Segments& s) { s[2].p_memsz = ~std::uint64_t{0}; }).error().code ==
        ErrorCode::damaged_data);
  CHECK(code_with([](Elf64_Ehdr&, Segments& s) { s[3].p_vaddr = ~std::uint64_t{0} - 100; }).error().code ==
        ErrorCode::damaged_data);
  // A note that is absent or elsewhere costs only itself.
  const auto far_note = code_with([](Elf64_Ehdr&, Segments& s) { s[1].p_vaddr = 0x100000; });
  REQUIRE(far_note);
  CHECK(far_note->build_id == "");
  const auto endless_note = code_with([](Elf64_Ehdr&, Segments& s) { s[1].p_filesz = ~std::uint64_t{0}; });
  REQUIRE(endless_note);
  CHECK(endless_note->build_id == "6964");
  CHECK(endless_note->notes[0].bytes.size() <= 4096);
}

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>

#include "elf/image.h"
#include "stacktide/core/target.h"
#include "support/core_dump.h"
#include "support/process.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kBase = 0x7f0000000000;

// A library in a file: its header page, a page of text ('T'), a page of data ('D').
Bytes module_file(std::string_view build_id) {
  return joined({module_page(build_id), bytes_of(std::string(0x1000, 'T')), bytes_of(std::string(0x1000, 'D'))});
}

// A core of a program with that library: the header page and the data ('W', written to) are in it, the text is not.
ElfBuilder core_of(const std::string& library, std::string_view build_id) {
  ElfBuilder core;
  core.add(PT_NOTE, 0,
           joined({prstatus_note(42, 0x1111, 0x2222), prstatus_note(41, 0x3333, 0x4444), prpsinfo_note(41, "program"),
                   auxv_note({{AT_PHDR, kBase + 64}, {AT_ENTRY, kBase + 0x1000}}),
                   file_note({{kBase, kBase + 0x1000, 0, library},
                              {kBase + 0x1000, kBase + 0x2000, 1, library},
                              {kBase + 0x2000, kBase + 0x3000, 2, library}})}));
  core.add(PT_LOAD, kBase, module_page(build_id));
  core.add(PT_LOAD, kBase + 0x1000, {}, PF_R | PF_X, 0x1000);
  core.add(PT_LOAD, kBase + 0x2000, bytes_of(std::string(0x1000, 'W')), PF_R | PF_W);
  core.add(PT_LOAD, kBase + 0x10000, bytes_of("saved"), PF_R | PF_W, 0x1000);
  return core;
}

std::unique_ptr<Target> open_good(const std::string& path, const CoreOptions& options = {}) {
  auto target = open_core(path, options);
  if (!target) FAIL(describe(target.error()));
  return *std::move(target);
}

Error error_of(const std::string& path, const CoreOptions& options = {}) {
  auto target = open_core(path, options);
  REQUIRE_FALSE(target);
  return target.error();
}

// Reads all that a target offers; the point is to survive it.
void use(Target& target) {
  (void)target.description();
  (void)target.threads();
  (void)target.damage();
  std::array<std::byte, 64> out;
  for (const Module& module : target.modules()) {
    (void)target.memory().read(module.start, out);
    (void)target.memory().read(module.end - 8, out);
  }
}

Address address_after(const std::string& output, const std::string& word) {
  const auto at = output.find(word + " 0x");
  REQUIRE(at != std::string::npos);
  return std::stoull(output.substr(at + word.size() + 1), nullptr, 16);
}

}  // namespace

TEST_CASE("a core gives its threads, main thread first, its pid and its modules") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("one"));
  const auto target = open_good(core_of(library, "one").write(folder / "core"));
  CHECK(target->kind() == TargetKind::core);
  CHECK(target->pid() == 41);
  CHECK(target->description() == "core " + (folder / "core") + " (" + library + ")");
  const auto threads = target->threads();
  REQUIRE(threads);
  REQUIRE(threads->size() == 2);
  CHECK((*threads)[0].tid == 41);
  CHECK(*(*threads)[0].registers.get(Register::rip) == 0x3333);
  CHECK(*(*threads)[1].registers.get(Register::rsp) == 0x2222);
  REQUIRE(target->modules().size() == 1);
  const Module& module = target->modules()[0];
  CHECK(module.path == library);
  CHECK(module.file == library);
  CHECK(module.load_bias == kBase);
  CHECK(module.start == kBase);
  CHECK(module.end == kBase + 0x3000);
  CHECK(module.build_id == "6f6e65");
  CHECK(module.problem == "");
  CHECK(target->damage().empty());
  CHECK_FALSE(target->now().has_value());
  CHECK(pause_of(*target) == 0);
}

TEST_CASE("bytes that the core left out come from the file of the same build, and nothing else does") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("one"));
  auto target = open_good(core_of(library, "one").write(folder / "core"));
  Memory& memory = target->memory();
  CHECK(*memory.read_value<char>(kBase + 0x1000) == 'T');
  CHECK(*memory.read_value<char>(kBase + 0x1fff) == 'T');
  CHECK(*memory.read_value<char>(kBase + 0x2000) == 'W');
  CHECK(*memory.read_string(kBase + 0x1ffc, 8) == "TTTTWWWW");
  // Mapped, but not saved: absent, and never zero.
  CHECK(*memory.read_string(kBase + 0x10000, 5) == "saved");
  CHECK(memory.read_value<std::uint64_t>(kBase + 0x10000).error().address == kBase + 0x10005);
  CHECK(memory.read_value<char>(kBase + 0x3000).error().address == kBase + 0x3000);
  CHECK_FALSE(memory.read_value<char>(0).has_value());
  CHECK_FALSE(memory.read_value<char>(~Address{0}).has_value());
}

TEST_CASE("a writable page that the core left out is absent although the file has it") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("one"));
  ElfBuilder core = core_of(library, "one");
  core.layout();
  core.segment(3).p_filesz = 0;
  auto target = open_good(core.write(folder / "core"));
  CHECK(target->memory().read_value<char>(kBase + 0x2000).error().address == kBase + 0x2000);
  // The file's own word counts too: its data segment may have been written before it was made read-only.
  core.segment(3).p_flags = PF_R;
  target = open_good(core.write(folder / "core"));
  CHECK(target->memory().read_value<char>(kBase + 0x2000).error().address == kBase + 0x2000);
}

TEST_CASE("a file that is another build or gone is not used, and the target says so") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("two"));
  auto target = open_good(core_of(library, "one").write(folder / "core"));
  const std::string other = library + " is another build than the core's (build-id 74776f against 6f6e65)";
  CHECK(target->modules()[0].file == "");
  CHECK(target->modules()[0].problem == other);
  CHECK(target->damage() == std::vector<std::string>{other});
  CHECK_FALSE(target->memory().read_value<char>(kBase + 0x1000).has_value());

  std::filesystem::remove(library);
  target = open_good(folder / "core");
  CHECK(target->modules()[0].file == "");
  CHECK(target->modules()[0].problem == library + " is gone");

  target = open_good(core_of(library + " (deleted)", "one").write(folder / "core"));
  CHECK(target->modules()[0].path == library);
  CHECK(target->modules()[0].problem == library + " is gone");
}

TEST_CASE("without build-ids the program headers decide") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file(""));
  auto target = open_good(core_of(library, "").write(folder / "core"));
  CHECK(target->modules()[0].file == library);
  CHECK(*target->memory().read_value<char>(kBase + 0x1000) == 'T');
  ElfBuilder(ET_DYN).write(library);
  target = open_good(folder / "core");
  CHECK(target->modules()[0].problem == library + " is another build than the core's (build-id none against none)");
}

TEST_CASE("an executable given by hand must be the core's") {
  TempDir folder;
  const std::string core = core_of(folder / "gone", "one").write(folder / "core");
  const std::string same = write_file(folder / "same", module_file("one"));
  const std::string other = write_file(folder / "other", module_file("two"));
  auto target = open_good(core, {.executable = same});
  CHECK(target->modules()[0].file == same);
  CHECK(target->modules()[0].path == folder / "gone");
  CHECK(target->damage().empty());
  CHECK(*target->memory().read_value<char>(kBase + 0x1000) == 'T');
  const Error mismatch = error_of(core, {.executable = other});
  CHECK(mismatch.code == ErrorCode::build_id_mismatch);
  CHECK(describe(mismatch) == other + " is not the executable of core " + core + ", which ran " + (folder / "gone") +
                                  " (build-id 74776f against 6f6e65) (give the executable that dumped this core)");
  CHECK(error_of(core, {.executable = folder / "none"}).code == ErrorCode::io_error);
  CHECK(error_of(core, {.executable = write_file(folder / "text", bytes_of("text"))}).code == ErrorCode::not_an_elf_file);
}

TEST_CASE("a core that lost its list of files still takes an executable by hand") {
  TempDir folder;
  ElfBuilder core;
  core.add(PT_NOTE, 0, joined({prstatus_note(41, 1, 2), auxv_note({{AT_ENTRY, kBase + 0x1000}})}));
  core.add(PT_LOAD, kBase, module_page("one"));
  core.add(PT_LOAD, kBase + 0x1000, {}, PF_R | PF_X, 0x1000);
  const std::string path = core.write(folder / "core");
  CHECK(open_good(path)->modules().empty());
  const std::string same = write_file(folder / "same", module_file("one"));
  auto target = open_good(path, {.executable = same});
  REQUIRE(target->modules().size() == 1);
  CHECK(target->modules()[0].load_bias == kBase);
  CHECK(*target->memory().read_value<char>(kBase + 0x1000) == 'T');
  CHECK(error_of(path, {.executable = write_file(folder / "other", module_file("two"))}).code ==
        ErrorCode::build_id_mismatch);
}

TEST_CASE("a mapping that is read as data is no module") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("one"));
  ElfBuilder core;
  core.add(PT_NOTE, 0, joined({prstatus_note(41, 1, 2), file_note({{kBase, kBase + 0x1000, 0, library}})}));
  core.add(PT_LOAD, kBase, module_page("one"));
  CHECK(open_good(core.write(folder / "core"))->modules().empty());
}

TEST_CASE("what is no core is refused with the reason") {
  TempDir folder;
  CHECK(error_of(folder / "none").code == ErrorCode::io_error);
  CHECK(describe(error_of(folder / "none")) == (folder / "none") + ": No such file or directory");
  CHECK(error_of(folder.path()).code == ErrorCode::io_error);
  CHECK(error_of(write_file(folder / "empty", {})).code == ErrorCode::not_an_elf_file);
  CHECK(error_of(test_program("sleeper")).code == ErrorCode::not_a_core_file);
  CHECK(error_of(test_program("sleeper")).context == test_program("sleeper") + " is an executable or library, not a core");
  const Error packed = error_of(write_file(folder / "packed", bytes_of("\x28\xb5\x2f\xfd....")));
  CHECK(packed.context == (folder / "packed") + " is compressed with zstd, decompress it first");
  ElfBuilder other = core_of("/library", "one");
  other.header().e_machine = EM_AARCH64;
  CHECK(error_of(other.write(folder / "arm")).code == ErrorCode::unsupported_target);
}

TEST_CASE("a core cut anywhere opens as far as it goes or says what is wrong") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("one"));
  const Bytes whole = core_of(library, "one").build();
  int opened = 0;
  for (std::size_t size = 0; size < whole.size(); size += size < 2048 ? 7 : 501) {
    const std::string path = write_file(folder / "cut", std::span(whole).first(size));
    auto target = open_core(path);
    if (!target) continue;
    ++opened;
    CHECK_FALSE((*target)->damage().empty());
    use(**target);
  }
  CHECK(opened > 10);
  // Exact words for one of them: the last 3 of 0x1000 + 0x1000 + 5 saved bytes are gone.
  const auto target = open_good(write_file(folder / "cut", std::span(whole).first(whole.size() - 3)));
  CHECK(target->damage() ==
        std::vector<std::string>{"core is cut short at 0x7f0000010002, 3 of 8197 bytes of memory are missing"});
  CHECK(target->memory().read_value<std::uint32_t>(kBase + 0x10000).error().address == kBase + 0x10002);
  CHECK(error_of(write_file(folder / "cut", std::span(whole).first(100))).code == ErrorCode::truncated_core);
}

TEST_CASE("hostile counts and sizes cost nothing") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("one"));
  const auto with = [&](auto change) {
    ElfBuilder core = core_of(library, "one");
    core.layout();
    change(core);
    auto target = open_core(core.write(folder / "core"));
    if (target) use(**target);
    return target.has_value();
  };
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  CHECK(with([](ElfBuilder& c) { c.segment(4).p_memsz = kHuge; }));
  CHECK(with([](ElfBuilder& c) { c.segment(4).p_filesz = c.segment(4).p_memsz = kHuge; }));
  CHECK(with([](ElfBuilder& c) { c.segment(4).p_offset = kHuge; }));
  CHECK(with([](ElfBuilder& c) { c.segment(4).p_vaddr = kHuge; }));
  CHECK(with([](ElfBuilder& c) { c.segment(0).p_filesz = kHuge; }));
  CHECK(with([](ElfBuilder& c) { c.segment(0).p_offset = kHuge; }));
  CHECK(with([](ElfBuilder& c) { c.segment(2).p_vaddr = c.segment(1).p_vaddr; }));  // on top of each other
  CHECK_FALSE(with([](ElfBuilder& c) { c.header().e_phnum = 65000; }));
  // A list of files that claims more than it holds.
  ElfBuilder core;
  Bytes payload;
  append(payload, kHuge);
  append(payload, std::uint64_t{4096});
  core.add(PT_NOTE, 0,
           joined({prstatus_note(1, 2, 3), note("CORE", NT_FILE, payload), note("CORE", NT_FILE, bytes_of("short"))}));
  const auto target = open_good(core.write(folder / "core"));
  CHECK(target->damage() ==
        std::vector<std::string>{
            "the core's list of mapped files claims 18446744073709551615 entries, more than it has room for"});
  CHECK(target->threads()->size() == 1);
}

TEST_CASE("any single damaged byte in the headers and notes is survived") {
  TempDir folder;
  const std::string library = write_file(folder / "library", module_file("one"));
  const Bytes whole = core_of(library, "one").build();
  for (std::size_t at = 0; at < 2048 && at < whole.size(); ++at) {
    Bytes damaged = whole;
    damaged[at] ^= std::byte{0xff};
    if (auto target = open_core(write_file(folder / "core", damaged))) use(**target);
  }
}

TEST_CASE("a core without threads opens, and only asking for them fails") {
  TempDir folder;
  ElfBuilder core;
  core.add(PT_LOAD, kBase, bytes_of("data"));
  const auto target = open_good(core.write(folder / "core"));
  CHECK(target->threads().error().code == ErrorCode::damaged_data);
  CHECK(*target->memory().read_string(kBase, 4) == "data");
}

TEST_CASE("a real core shows the program's threads, memory and text, also after the executable was deleted") {
  TempDir folder;
  const std::string program = folder / "sleeper";
  std::filesystem::copy_file(test_program("sleeper"), program);
  Child child = Child::start({program, "3"}, {.env = {}, .folder = "", .core = true});
  const std::string said = child.wait_for_line("ready");
  const Address value = address_after(said, "value");
  const Address constant = address_after(said, "constant");
  const std::string running = gcore(child.pid(), folder.path());
  const auto pid = static_cast<std::uint64_t>(child.pid());
  const std::string crashed = make_core(child);
  const std::string build_id = (*Image::open(program))->build_id();
  for (const std::string& core : {running, crashed}) {
    CAPTURE(core);
    auto target = open_good(core);
    CHECK(target->pid() == pid);
    CHECK(target->description() == "core " + core + " (" + program + ")");
    CHECK(target->damage().empty());
    const auto threads = target->threads();
    REQUIRE(threads);
    REQUIRE(threads->size() == 4);
    CHECK(threads->front().tid == pid);
    for (const Thread& thread : *threads) {
      CHECK(thread.registers.valid == (1U << kRegisterCount) - 1);
      CHECK(target->memory().read_value<std::uint64_t>(*thread.registers.get(Register::rsp)).has_value());
      CHECK(target->memory().read_value<std::uint8_t>(*thread.registers.get(Register::rip)).has_value());
    }
    const Module& module = target->modules().front();
    CHECK(module.path == program);
    CHECK(module.build_id == build_id);
    CHECK(*target->memory().read_value<std::uint64_t>(value) == 0x5354414b54494445);
    CHECK(*target->memory().read_string(constant, 100) == "a constant in read-only data");
    bool has_libc = false;
    for (const Module& other : target->modules()) has_libc = has_libc || other.path.ends_with("/libc.so.6");
    CHECK(has_libc);
  }
  std::filesystem::remove(program);
  auto target = open_good(crashed);
  CHECK(target->modules().front().build_id == build_id);
  CHECK(target->modules().front().problem == program + " is gone");
  CHECK(*target->memory().read_value<std::uint64_t>(value) == 0x5354414b54494445);
  CHECK(target->memory().read_value<char>(constant).error().address == constant);
  target = open_good(crashed, {.executable = test_program("sleeper")});
  CHECK(target->damage().empty());
  CHECK(*target->memory().read_string(constant, 100) == "a constant in read-only data");
}

// Trace files, whole and broken: what is read of them, in which order, and what is said of the rest.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "trace/recording.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "elf/image.h"
#include "support/process.h"
#include "support/trace_writer.h"
#include "trace/recorded_names.h"
#include "trace/symbol_writer.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

using Strings = std::vector<std::string>;

std::string bytes_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A file in memory: what is written thousands of times would keep a disk busy.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("trace", MFD_CLOEXEC)) {
    REQUIRE(write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }
  void cut(std::size_t size) const { REQUIRE(ftruncate(fd_, static_cast<off_t>(size)) == 0); }
  void put(std::size_t at, char byte) const { REQUIRE(pwrite(fd_, &byte, 1, static_cast<off_t>(at)) == 1); }

 private:
  int fd_;
};

// This program, as a recording of it would describe it.
Module own_module() {
  Module module;
  const auto image = Image::open("/proc/self/exe");
  REQUIRE(image);
  module.path = std::filesystem::read_symlink("/proc/self/exe");
  module.build_id = (*image)->build_id();
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& found = *static_cast<Module*>(data);
        found.load_bias = found.start = info->dlpi_addr;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type == PT_LOAD) found.end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
        }
        return 1;  // the first is the program itself
      },
      &module);
  return module;
}

// "kind@time" of each record that is given out.
Strings seen(const Recording& recording) {
  Strings all;
  recording.visit([&](const TraceRecord& record) { all.push_back(fmt::format("{}@{}", record.kind(), record.head->time)); });
  return all;
}

stacktide_trace_park park_at(std::int64_t time, std::uint64_t goroutine) {
  return {{0, 0, 0, 0, time, goroutine}, 300, 1, 0, 0};
}

// A file with every kind of record, in two lanes and that of the symbols.
void write_small(const std::string& path) {
  TraceWriter writer(path);
  writer.header.started = 1000;
  writer.text(STACKTIDE_TRACE_COMMAND, 1000, 0, 0, "./program 3");
  writer.text(STACKTIDE_TRACE_NAME, 1000, 0, 1, "chan receive");
  writer.chain(1, {0x1010, 0x1020});
  writer.add(0, STACKTIDE_TRACE_MODULE, stacktide_trace_module{{0, 0, 0, 0, 1000, 0}, 0, 0x1000, 0x2000, 2, {0xab, 0xcd}, 0},
             std::string_view("/nowhere/program\0", 17));
  writer.spawn(1100, 1, 0, 0x1000, 0, 2048, STACKTIDE_TRACE_MAIN);
  writer.spawn(1200, 2, 1, 0x1000, 1);
  writer.stack(STACKTIDE_TRACE_GROW, 1300, 2, 1, 2048, 4096, 1500, 900);
  writer.add(1, STACKTIDE_TRACE_PARK, park_at(1250, 1));
  writer.add(1, STACKTIDE_TRACE_READY, stacktide_trace_ready{{0, 0, 0, 0, 1400, 1}, 2});
  writer.text(STACKTIDE_TRACE_LABEL, 1450, 2, 0, "worker");
  writer.exit(1500, {{}, 4096, 1500, 1500, 1, 0, 0, 0, 6, 0, 0, 0}, 2);
  writer.live(1600, {{}, 2048, 700, 0, 0, 0, 0, 0, 4, 1, 0, 1550}, 1);
  writer.text(STACKTIDE_TRACE_END, 1700, 0, 0, "exit");
  writer.symbol(0x1010, false, "deep", "/src/a.cpp", 10);
}

const Strings kSmall = {"5@1100", "5@1200", "8@1250", "1@1300", "9@1400", "10@1450", "6@1500", "7@1600"};

// Whether `part` is `whole` with records left out.
bool is_part(const Strings& part, const Strings& whole) {
  auto at = whole.begin();
  for (const auto& one : part) {
    at = std::find(at, whole.end(), one);
    if (at++ == whole.end()) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("lanes are merged by time, each in its own order, and what records refer to is known before") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  write_small(path);
  const auto recording = Recording::open(path);
  REQUIRE(recording);
  CHECK(seen(*recording) == kSmall);
  CHECK(seen(*recording) == kSmall);
  const auto& info = recording->info();
  CHECK(info.damage == Strings{});
  CHECK(info.records == 13);
  CHECK(info.chunks == 3);
  CHECK(info.command == "./program 3");
  CHECK(info.end == "exit");
  CHECK_FALSE(info.status);
  CHECK(info.first == 1100);
  CHECK(info.last == 1700);
  CHECK(info.header.pid == 4711);
  CHECK(recording->wait_reason(1) == "chan receive");
  CHECK(recording->wait_reason(9).empty());
  REQUIRE(recording->chain(1).size() == 2);
  CHECK(recording->chain(1)[1] == 0x1020);
  CHECK(recording->chain(2).empty());
  REQUIRE(recording->modules().size() == 1);
  CHECK(recording->modules()[0].path == "/nowhere/program");
  CHECK(recording->modules()[0].build_id == "abcd");
  CHECK(recording->symbols().at({0x1010, false}).at(0).function == "deep");
}

TEST_CASE("a lane of many chunks is in order of their sequence, and equal times in order of the lanes") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  Strings expected;
  {
    TraceWriter writer(path);
    for (std::int64_t time = 0; time < 1000; ++time) {
      for (const auto lane : {7, 3})
        writer.add(static_cast<std::uint16_t>(lane), STACKTIDE_TRACE_PARK, park_at(time, static_cast<std::uint64_t>(lane)));
      expected.push_back(fmt::format("3@{}", time));
      expected.push_back(fmt::format("7@{}", time));
    }
  }
  const auto recording = Recording::open(path);
  REQUIRE(recording);
  CHECK(recording->info().chunks > 10);
  Strings got;
  recording->visit(
      [&](const TraceRecord& record) { got.push_back(fmt::format("{}@{}", record.head->goroutine, record.head->time)); });
  CHECK(got == expected);
}

TEST_CASE("a file cut at any byte gives what is whole before the cut, and says what is missing") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  write_small(path);
  const auto whole = bytes_of(path);
  REQUIRE(whole.size() == 4 * 4096);
  std::size_t most = 0;
  std::uint32_t used = 0;
  std::memcpy(&used, whole.data() + 4096 + offsetof(stacktide_trace_chunk, used), sizeof used);
  const std::size_t end_of_records = 4096 + sizeof(stacktide_trace_chunk) + used;
  const MemoryFile file(whole);
  for (std::size_t size = whole.size(); size-- > 0;) {
    file.cut(size);
    const auto recording = Recording::open(file.path());
    if (size < 40) CHECK_FALSE(recording.has_value());
    if (recording) {
      const auto got = seen(*recording);
      const bool right = is_part(got, kSmall);
      // A chunk that is missing as a whole leaves nothing to see where the file ends before it.
      const bool said = !recording->info().damage.empty() || recording->info().end.empty() || size >= end_of_records;
      if (!right || !said) FAIL("cut at " << size);
      most = std::max(most, got.size());
    }
  }
  CHECK(most == kSmall.size());
}

TEST_CASE("where a cut goes through a record, those before it are read") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  {
    TraceWriter writer(path);
    for (std::int64_t i = 0; i < 10; ++i) writer.ready(i, 1, 0);
  }
  const std::size_t record = sizeof(stacktide_trace_ready);
  const std::size_t start = 4096 + sizeof(stacktide_trace_chunk);
  for (std::size_t cut = start + 10 * record - 1; cut >= start; --cut) {
    std::filesystem::resize_file(path, cut);
    const auto recording = Recording::open(path);
    REQUIRE(recording);
    CHECK(seen(*recording).size() == (cut - start) / record);
    CHECK(recording->info().damage ==
          Strings{fmt::format("the file is cut short: {} bytes of the chunk at byte 4096 are missing",
                              start + 10 * record - cut)});
  }
}

TEST_CASE("no changed byte ends the reader, and chunks that it is not in are read as before") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  write_small(path);
  const auto whole = bytes_of(path);
  const MemoryFile file(whole);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    // Nothing but zeros is behind these.
    if (at % 4096 > 1000) continue;
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      file.put(at, static_cast<char>(static_cast<unsigned char>(whole[at]) ^ flip));
      const auto recording = Recording::open(file.path());
      // Magic and version say what kind of file it is.
      if (!recording && at >= 10) FAIL("byte " << at << ": " << describe(recording.error()));
      if (!recording) {
        file.put(at, whole[at]);
        continue;
      }
      RecordedNames names(*recording);
      (void)names.user_place(1);
      (void)names.entry(0x1000);
      const auto got = seen(*recording);
      std::size_t of_lane_1 = 0;
      for (const auto& one : got) of_lane_1 += one == "8@1250" || one == "9@1400" ? 1 : 0;
      // Chunk 2 is lane 1's.
      if ((at < 2 * 4096 || at >= 3 * 4096) && of_lane_1 != 2) FAIL("byte " << at << " took records of another chunk");
      if ((at < 4096 || at >= 2 * 4096) && got.size() < 6) FAIL("byte " << at << " took records of chunk 1");
      file.put(at, whole[at]);
    }
  }
}

TEST_CASE("each kind of damage is said in words") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  {
    TraceWriter writer(path);
    for (std::int64_t i = 0; i < 400; ++i) writer.ready(i, 1, 0);
  }
  const auto whole = bytes_of(path);
  REQUIRE(whole.size() == 5 * 4096);
  const auto damage_of = [&](std::size_t at, std::string_view bytes) {
    auto broken = whole;
    broken.replace(at, bytes.size(), bytes);
    write_bytes(path, broken);
    const auto recording = Recording::open(path);
    REQUIRE(recording);
    return recording->info().damage;
  };
  CHECK(damage_of(2 * 4096, "x") == Strings{"what lies at byte 8192 is no chunk: 4096 bytes are skipped",
                                            "lane 0 lacks 1 of its chunks, from number 1 on"});
  CHECK(damage_of(2 * 4096 + 6, std::string_view("\0\0", 2)) ==
        Strings{"the chunk at byte 8192 says that its header has 0 bytes: it is skipped",
                "lane 0 lacks 1 of its chunks, from number 1 on"});
  CHECK(damage_of(2 * 4096 + 8, "\x03") ==
        Strings{"lane 0 lacks 1 of its chunks, from number 1 on", "lane 0 has two chunks of number 3"});
  CHECK(damage_of(2 * 4096 + 12, "\xff\xff") ==
        Strings{"the chunk at byte 8192 says that 65535 bytes of it are in use, which is more than it has"});
  CHECK(damage_of(2 * 4096 + 16 + 32 + 2, std::string_view("\0\0", 2)) ==
        Strings{"the record at byte 8240 is damaged: 4032 bytes are skipped, up to the chunk's end"});
  CHECK(damage_of(2 * 4096 + 16 + 32 + 2, "\x18") ==
        Strings{"the record at byte 8264 is damaged: 4008 bytes are skipped, up to the chunk's end",
                "records that are shorter than their kind wants: 1, skipped"});
  // The last byte of a time.
  CHECK(damage_of(2 * 4096 + 16 + 15, "\x80") == Strings{"records with a time that cannot be: 1, skipped"});
  CHECK(damage_of(31, "\x7f") == Strings{"the header says that recording began at 9151314442816847872 ns, which cannot be"});
  CHECK(damage_of(16, "\x10\x20") == Strings{"the header says that chunks have 8208 bytes, but one begins at byte 4096"});
}

TEST_CASE("what is no trace, or another version's, is refused with what to do") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  const auto error_of = [&] { return Recording::open(path).error().context; };
  CHECK(error_of().find("No such file or directory") != std::string::npos);
  write_bytes(path, "#!/bin/sh\n");
  CHECK(error_of() == fmt::format("{} is no trace file: `stacktide record` writes them", path));
  write_small(path);
  auto other = bytes_of(path);
  other[8] = 2;
  write_bytes(path, other);
  CHECK(error_of() == fmt::format("{} has trace format 2, this program reads 1: use the stacktide that recorded it", path));
}

TEST_CASE("symbols and the program's status are appended once, where the file ends") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  const auto here = reinterpret_cast<std::uint64_t>(&write_small);
  {
    TraceWriter writer(path);
    writer.chain(1, {here + 8});
    writer.spawn(1, 1, 0, here);
    const auto self = own_module();
    REQUIRE(!self.build_id.empty());
    stacktide_trace_module record{
        {}, self.load_bias, self.start, self.end, static_cast<std::uint32_t>(self.build_id.size() / 2), {}, 0};
    for (std::size_t i = 0; i < record.build_id_size; ++i)
      record.build_id[i] = static_cast<std::uint8_t>(std::stoul(self.build_id.substr(2 * i, 2), nullptr, 16));
    writer.add(0, STACKTIDE_TRACE_MODULE, record, self.path + '\0');
  }
  std::filesystem::resize_file(path, 2 * 4096 - 5);
  REQUIRE(append_symbols(path, 9));
  const auto once = bytes_of(path);
  CHECK(once.size() == 3 * 4096);
  const auto recording = Recording::open(path);
  REQUIRE(recording);
  CHECK(recording->info().status == 9);
  CHECK(recording->symbols().size() == 2);
  RecordedNames names(*recording);
  CHECK(names.entry(here).function == "(anonymous namespace)::write_small");
  CHECK(names.needed_room(1).file.ends_with("/recording_test.cpp"));
  CHECK(names.warnings() == Strings{});
  REQUIRE(append_symbols(path, 9));
  CHECK(bytes_of(path) == once);
}

TEST_CASE("a file of another build is not asked, and said once") {
  const TempDir folder;
  const auto path = folder.path() + "/t.stt";
  {
    TraceWriter writer(path);
    writer.chain(1, {0x1010, 0x1020});
    writer.chain(2, {0x9010});
    writer.add(0, STACKTIDE_TRACE_MODULE, stacktide_trace_module{{}, 0, 0x1000, 0x2000, 2, {0xab, 0xcd}, 0},
               std::string("/proc/self/exe") + '\0');
    writer.add(0, STACKTIDE_TRACE_MODULE, stacktide_trace_module{{}, 0, 0x9000, 0xa000, 2, {0xab, 0xcd}, 0},
               std::string("/nowhere/lib.so") + '\0');
  }
  const auto recording = Recording::open(path);
  REQUIRE(recording);
  RecordedNames names(*recording);
  CHECK(names.needed_room(1).function == "0x1010");
  CHECK(names.caller(1).function == "0x1020");
  CHECK(names.needed_room(2).function == "0x9010");
  CHECK(names.warnings() ==
        Strings{"/proc/self/exe is another build than the one that was recorded: addresses in it stay numbers",
                "/nowhere/lib.so: No such file or directory: addresses in it stay numbers"});
}

// stacktide-link: reading the link command, and the linkers' traces.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "command_line.h"
#include "probe.h"

namespace fs = std::filesystem;
using stacktide::link::CommandLine;
using stacktide::link::parse_command_line;
using stacktide::link::read_trace;
using stacktide::link::Word;

namespace {

// A directory with an object, an archive and a text file, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "stacktide-link-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    Elf64_Ehdr header{};
    std::copy_n(ELFMAG, SELFMAG, header.e_ident);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_REL;
    header.e_machine = EM_X86_64;
    write("a.o", std::string(reinterpret_cast<const char*>(&header), sizeof(header)));
    write("libb.a", "!<arch>\n");
    write("notes.txt", "neither\n");
  }
  ~Folder() { fs::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  std::string at(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::vector<std::string> texts(const CommandLine& line, Word::Kind kind) {
  std::vector<std::string> found;
  for (const Word& word : line.words) {
    if (word.kind == kind) found.push_back(word.text);
  }
  return found;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("objects and archives are inputs; values of options and other files are not") {
  const Folder folder;
  const std::string object = folder.at("a.o");
  const auto line =
      parse_command_line({"g++", "-O2", object, "-T", object, folder.at("libb.a"), folder.at("notes.txt"), "-o", "out"});
  REQUIRE(line);
  CHECK(line->driver == "g++");
  CHECK(line->output == "out");
  CHECK(texts(*line, Word::Kind::object) == Texts{object});
  CHECK(texts(*line, Word::Kind::archive) == Texts{folder.at("libb.a")});
  CHECK(texts(*line, Word::Kind::option) == Texts{"-O2", "-T", object, folder.at("notes.txt"), "-o", "out"});
}

TEST_CASE("response files are expanded with GCC's quoting, inside each other too") {
  const Folder folder;
  folder.write("inner.rsp", "'-DA=b c' -DD=\\\"e\\\"\n\t\"\"");
  folder.write("outer.rsp", "-g @" + folder.at("inner.rsp"));
  const auto line = parse_command_line({"g++", "@" + folder.at("outer.rsp"), "@absent.rsp"});
  REQUIRE(line);
  CHECK(texts(*line, Word::Kind::option) == Texts{"-g", "-DA=b c", "-DD=\"e\"", "", "@absent.rsp"});
}

TEST_CASE("a response file that includes itself is an error") {
  const Folder folder;
  folder.write("loop.rsp", "@" + folder.at("loop.rsp"));
  const auto line = parse_command_line({"g++", "@" + folder.at("loop.rsp")});
  REQUIRE_FALSE(line);
  CHECK(line.error().ends_with("response files nest too deep"));
}

TEST_CASE("an archive inside -Wl becomes a word of its own, in its place and with its whole-archive state") {
  const Folder folder;
  const std::string archive = folder.at("libb.a");
  const auto line =
      parse_command_line({"g++", "-Wl,--whole-archive," + archive + ",--no-whole-archive,-rpath," + archive, archive});
  REQUIRE(line);
  REQUIRE(line->words.size() == 4);
  CHECK(line->words[0].text == "-Wl,--whole-archive");
  CHECK(line->words[1].text == archive);
  CHECK(line->words[1].whole_archive);
  CHECK(line->words[2].text == "-Wl,--no-whole-archive,-rpath," + archive);
  CHECK(line->words[3].kind == Word::Kind::archive);
  CHECK_FALSE(line->words[3].whole_archive);
}

TEST_CASE("--pop-state restores the whole-archive state") {
  const Folder folder;
  const std::string archive = folder.at("libb.a");
  const auto line = parse_command_line({"g++", "-Wl,--push-state,--whole-archive", archive, "-Wl,--pop-state", archive});
  REQUIRE(line);
  CHECK(line->words[1].whole_archive);
  CHECK_FALSE(line->words[3].whole_archive);
}

TEST_CASE("-l names an archive if a directory of -L has one and no shared library beside it") {
  const Folder folder;
  const std::string directory = fs::path(folder.at("a.o")).parent_path();
  const auto found = parse_command_line({"g++", "-lb", "-L" + directory});
  REQUIRE(found);
  REQUIRE(texts(*found, Word::Kind::archive) == Texts{"-lb"});
  CHECK(found->words[0].path == folder.at("libb.a"));
  folder.write("libb.so", "");
  const auto shared = parse_command_line({"g++", "-lb", "-L", directory});
  REQUIRE(shared);
  CHECK(texts(*shared, Word::Kind::archive).empty());
}

TEST_CASE("-fsplit-stack is left out of the link, where it would bring libgcc's stacks") {
  const auto line = parse_command_line({"g++", "-fsplit-stack", "-g"});
  REQUIRE(line);
  CHECK(texts(*line, Word::Kind::option) == Texts{"-g"});
}

TEST_CASE("symbols that the user wraps are known in every spelling") {
  const auto line = parse_command_line({"g++", "-Wl,--wrap=a,--wrap,b", "-Xlinker", "--wrap=c", "-Wl,-wrap,d"});
  REQUIRE(line);
  CHECK(line->wrapped == Texts{"a", "b", "c", "d"});
}

TEST_CASE("own options come before the command, and others are refused") {
  const auto verbose = parse_command_line({"--stacktide-verbose", "g++"});
  REQUIRE(verbose);
  CHECK(verbose->verbose);
  const auto unknown = parse_command_line({"--stacktide-loud", "g++"});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error() == "--stacktide-loud: unknown option (see stacktide-link --help)");
  const auto nothing = parse_command_line({});
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error() == "no link command given (see stacktide-link --help)");
}

TEST_CASE("commands that do not link an executable are told apart") {
  CHECK_FALSE(parse_command_line({"g++", "-c", "a.cpp"})->links);
  CHECK_FALSE(parse_command_line({"g++", "-r", "a.o"})->links);
  CHECK(parse_command_line({"g++", "-shared", "a.o"})->shared);
}

TEST_CASE("the traces of BFD, gold and lld say the same") {
  for (const char* trace : {"m.o\n/d/libb.a\n(/d/libb.a)bar.o\nld.bfd: /l/libc.so.6: definition of puts\n",
                            "/l/libc.so.6: definition of puts\nm.o\n/d/libb.a(bar.o)\n",
                            "m.o\n/d/libb.a(bar.o)\n/l/libc.so.6: shared definition of puts\nm.o: reference to sin"}) {
    CAPTURE(trace);
    const auto answer = read_trace(trace);
    REQUIRE(answer.members.contains("/d/libb.a"));
    CHECK(answer.members.at("/d/libb.a") == std::set<std::string>{"bar.o"});
    CHECK(answer.defined == std::set<std::string, std::less<>>{"puts"});
  }
}

// The arrows of the layout hold in this tree, and the rules that say so can fail.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdlib.h>

#include "rules.h"

using namespace stacktide::layering;

namespace {

using Texts = std::vector<std::string>;

const fs::path kRoot = STACKTIDE_SOURCE_DIR;

void check_none(const Texts& violations) {
  const std::string text = fmt::format("{}", fmt::join(violations, "\n"));
  CHECK(text == "");
}

class Tree {
 public:
  Tree() {
    std::string name = (fs::temp_directory_path() / "stacktide-tree-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    root_ = name;
  }
  ~Tree() { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  const fs::path& root() const { return root_; }

 private:
  fs::path root_;
};

}  // namespace

TEST_CASE("every include of the tree follows the arrows") {
  CHECK(sources(kRoot).size() > 50);
  check_none(forbidden_includes(kRoot));
}

TEST_CASE("the top level has only the folders of the layout") { check_none(unexpected_folders(kRoot)); }

TEST_CASE("files beyond 400 lines give a reason in their head") { check_none(unexplained_lengths(kRoot)); }

TEST_CASE("an arrow against the order of core's folders is found") {
  const Tree tree;
  tree.write("core/src/elf/image.cpp",
             "#include <elf.h>\n#include \"base/bytes.h\"\n#include \"elf/image.h\"\n#include \"view/text.h\"\n");
  tree.write("core/src/view/text.cpp",
             "#include \"elf/image.h\"\n#include \"stacktide/core/result.h\"\n#include \"stacktide/abi.h\"\n");
  tree.write("core/src/trace/reader.cpp", "#  include \"walk/walker.h\"\n");
  CHECK(forbidden_includes(tree.root()) ==
        Texts{"core/src/elf/image.cpp:4: core/src/elf must not include view/text.h",
              "core/src/trace/reader.cpp:1: core/src/trace must not include walk/walker.h"});
}

TEST_CASE("core sees of the runtime only the ABI, and the runtime nothing of core") {
  const Tree tree;
  tree.write("core/src/walk/a.cpp", "#include \"stacktide/runtime.h\"\n");
  tree.write("runtime/src/b.cpp",
             "#include <stacktide/core/result.h>\n#include \"base/bytes.h\"\n#include \"stacktide/abi.h\"\n");
  tree.write("runtime/abi/stacktide/abi.h", "#include <stdint.h>\n#include <stddef.h>\n");
  CHECK(forbidden_includes(tree.root()) == Texts{"core/src/walk/a.cpp:1: core/src must not include stacktide/runtime.h",
                                                 "runtime/abi/stacktide/abi.h:2: runtime/abi must not include stddef.h",
                                                 "runtime/src/b.cpp:1: runtime/src must not include stacktide/core/result.h",
                                                 "runtime/src/b.cpp:2: runtime/src must not include base/bytes.h"});
}

TEST_CASE("front ends see only core/include, and a quoted name of nowhere is an error") {
  const Tree tree;
  tree.write("lldb_plugin/plugin.h", "");
  tree.write("lldb_plugin/plugin.cpp",
             "#include \"plugin.h\"\n#include <lldb/API/LLDB.h>\n#include \"stacktide/core/command.h\"\n#include "
             "\"walk/walker.h\"\n"
             "#include \"../core/src/walk/walker.h\"\n#include \"nowhere/x.h\"\n");
  tree.write("core/src/walk/walker.h", "");
  CHECK(forbidden_includes(tree.root()) ==
        Texts{"lldb_plugin/plugin.cpp:4: lldb_plugin must not include walk/walker.h",
              "lldb_plugin/plugin.cpp:5: lldb_plugin must not include ../core/src/walk/walker.h",
              "lldb_plugin/plugin.cpp:6: lldb_plugin must not include nowhere/x.h"});
}

TEST_CASE("a folder of core without a rank may include nothing of core") {
  const Tree tree;
  tree.write("core/src/misc/a.cpp", "#include \"base/bytes.h\"\n");
  CHECK(forbidden_includes(tree.root()) == Texts{"core/src/misc/a.cpp:1: core/src/misc must not include base/bytes.h"});
}

TEST_CASE("other top-level folders are found, build trees and hidden ones are not") {
  const Tree tree;
  for (const char* folder : {"core", "build/release", ".git", "vendor", "docs"})
    fs::create_directories(tree.root() / folder);
  CHECK(unexpected_folders(tree.root()) == Texts{"docs", "vendor"});
}

TEST_CASE("a long file needs a word about its lines") {
  const Tree tree;
  const std::string body(401, '\n');
  tree.write("core/src/base/long.cpp", body);
  tree.write("core/src/base/told.cpp", "// More than 400 lines: one table.\n" + body);
  tree.write("core/src/base/short.cpp", std::string(400, '\n'));
  CHECK(unexplained_lengths(tree.root()) == Texts{"core/src/base/long.cpp: 401 lines, and its head does not say why"});
}

// Stack maps, made by stacktide-link of programs that are compiled here: what pins a function, which words are scalars for
// certain, and what becomes of programs that no maps can be made of.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "stack_maps.h"
#include "stacktide/stack_map.h"
#include "unit/link_workshop.h"

namespace fs = std::filesystem;
using namespace stacktide::link;
using namespace stacktide::test;

namespace {

const std::string kMapped = kMovable + "-g -fstack-reuse=none -fno-lifetime-dse ";

template <class T>
T read(std::string_view bytes, std::size_t at) {
  REQUIRE(at + sizeof(T) <= bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// The names block, as a reader would see it.
struct Names {
  explicit Names(const std::string& block) : bytes(block), header(read<stacktide_names_header>(block, 0)) {}
  std::string text(std::uint32_t at) const { return bytes.c_str() + header.text_offset + at; }
  std::vector<stacktide_map_variable> list(std::uint32_t site) const {
    const auto at = read<std::uint32_t>(bytes, header.site_offset + site * 4);
    std::vector<stacktide_map_variable> variables;
    for (std::uint32_t i = 0; at != 0 && i < read<std::uint32_t>(bytes, at); ++i)
      variables.push_back(read<stacktide_map_variable>(bytes, at + 4 + i * sizeof(stacktide_map_variable)));
    return variables;
  }
  std::string bytes;
  stacktide_names_header header;
};

// Kinds of the words of a site, 's', 'p', '?', and 'f' for return addresses and saved registers, from the CFA down.
std::string words_of(const StackMaps& maps, std::uint32_t site) {
  const auto word = read<stacktide_map_site>(maps.sites, site * sizeof(stacktide_map_site)).shape;
  const std::size_t at = 4 * STACKTIDE_SITE_SHAPE(word);
  const auto shape = read<stacktide_map_shape>(maps.shapes, at);
  std::size_t next = at + sizeof shape + 2 * static_cast<std::size_t>(__builtin_popcount(shape.saved));
  std::string words;
  for (int run = 0; run < shape.runs; ++run, next += 2) {
    const auto bits = read<std::uint16_t>(maps.shapes, next);
    words.append(STACKTIDE_RUN_COUNT(bits), "?spf"[STACKTIDE_RUN_KIND(bits)]);
  }
  return words;
}

// What each variable's words are at the first site at which it is in scope: by its name.
std::map<std::string, std::string> variables_of(const StackMaps& maps) {
  const Names names(maps.names);
  std::map<std::string, std::string> kinds;
  for (std::uint32_t site = 0; site < maps.statistics.sites; ++site) {
    const std::string words = words_of(maps, site);
    for (const auto& variable : names.list(site)) {
      if (variable.reg != STACKTIDE_IN_MEMORY || variable.offset >= 0) continue;
      std::string found;
      for (std::int64_t at = variable.offset; at < variable.offset + static_cast<std::int64_t>(variable.size); at += 8) {
        const auto word = static_cast<std::size_t>((-at - 1) / 8);
        found += word < words.size() ? words[word] : '?';
      }
      kinds.emplace(names.text(variable.name), found);
    }
  }
  return kinds;
}

StackMaps linked(const Workshop& shop, const std::string& text, const std::string& flags) {
  shop.compile("program.cpp", text, flags);
  const Ran made = shop.link("program.o libruntime.a -o program");
  CAPTURE(made.output);
  REQUIRE(made.status == 0);
  auto maps = make_stack_maps(shop.at("program"), true);
  if (!maps) FAIL(maps.error());
  return std::move(*maps);
}

}  // namespace

TEST_CASE("functions are pinned by what the heap may point back at, in variables, parameters and temporaries") {
  // The function, and whether it is pinned. Each calls something, so that it has sites.
  struct Case {
    const char* name;
    bool pinned;
    const char* body;
  };
  constexpr std::array kCases = {
      Case{"numbers", false, "long a[3] = {1, 2, 3}; use(a);"},
      Case{"pointers", false, "int n = 0; int* p = &n; use(&p);"},
      Case{"text", false, "std::string s = \"a\"; use(&s);"},
      Case{"views", false, "std::string s; std::string_view v = s; use(&v);"},
      Case{"vector_of_numbers", false, "std::vector<long> v(3); use(&v);"},
      Case{"vector_of_texts", false, "std::vector<std::string> v(3); use(&v);"},
      Case{"vector_of_pointers", true, "std::vector<int*> v(3); use(&v);"},
      Case{"vector_of_views", true, "std::vector<std::string_view> v(3); use(&v);"},
      Case{"unique", false, "auto p = std::make_unique<long>(3); use(&p);"},
      Case{"unique_of_pointers", true, "auto p = std::make_unique<Node>(); use(&p);"},
      Case{"unique_of_open_class", true, "std::unique_ptr<Open> p; use(&p);"},
      Case{"shared", false, "auto p = std::make_shared<std::atomic<long>>(3); use(&p);"},
      Case{"optional", false, "std::optional<std::string> o; use(&o);"},
      Case{"pair_of_pointers", false, "int n = 0; std::pair<int*, int> p{&n, 1}; use(&p);"},
      Case{"map", true, "std::map<int, int> m; use(&m);"},
      Case{"set_in_a_class", true, "Holder h; use(&h);"},
      Case{"array_of_lists", true, "std::array<std::list<int>, 2> a; use(&a);"},
      Case{"unordered", true, "std::unordered_map<int, int> m; use(&m);"},
      Case{"function", true, "std::function<int()> f = [] { return 1; }; use(&f);"},
      Case{"any", true, "std::any a = 3; use(&a);"},
      Case{"variant_of_maps", true, "std::variant<int, std::map<int, int>> v; use(&v);"},
      Case{"bytes_for_a_map", true, "Slot<std::map<int, int>> s; use(&s);"},
      Case{"bytes_for_numbers", false, "Slot<long> s; use(&s);"},
      Case{"lock", false, "std::mutex m; std::lock_guard g(m); use(&m);"},
      Case{"stream", false, "std::ostringstream s; s << 3; use(&s);"},
      Case{"closure_over_a_map", true, "std::map<int, int> m; auto f = [m] { use(&m); }; f();"},
      Case{"temporary", true, "use(nullptr); size_of(std::map<int, int>{{1, 2}});"},
      Case{"returned", true, "size_of(made());"},
      Case{"unknown_type", true, "hidden(unknown());"},
  };
  std::string text = R"(
#include <any>
#include <array>
#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <class T> struct Slot { alignas(T) unsigned char raw[sizeof(T)]; };
struct Node { Node* up = nullptr; };
struct Open { virtual ~Open() = default; };
struct Holder { int n = 0; std::set<int> numbers; };
struct Unknown;
[[gnu::noinline]] void use(const void* p) { asm volatile("" : : "r"(p) : "memory"); }
[[gnu::noinline]] unsigned long size_of(const std::map<int, int>& m) { use(&m); return m.size(); }
[[gnu::noinline]] std::map<int, int> made() { use(nullptr); return {{1, 2}}; }
[[gnu::noinline]] Unknown& unknown() { use(nullptr); return *reinterpret_cast<Unknown*>(8); }
[[gnu::noinline]] void hidden(Unknown& u) { use(&u); }
)";
  std::string calls;
  for (const Case& c : kCases) {
    // unknown_type: a reference of its own.
    const std::string body = std::string(c.name) == "unknown_type" ? "Unknown& u = unknown(); hidden(u);" : c.body;
    text += fmt::format("[[gnu::noinline]] void {}() {{ use(nullptr); {} use(nullptr); }}\n", c.name, body);
    calls += fmt::format("{}(); ", c.name);
  }
  text += "int main() { " + calls + "}\n";
  const Workshop shop;
  for (const std::string level : {"-O0 ", "-O2 "}) {
    const StackMaps maps = linked(shop, text, level + kMapped);
    for (const Case& c : kCases) {
      CAPTURE(level + c.name);
      const bool pinned =
          std::ranges::any_of(maps.pins, [&](const PinReason& pin) { return pin.function == std::string(c.name) + "()"; });
      CHECK(pinned == c.pinned);
    }
    // A program of nothing but goroutine code, templates and inlining: at most a fifth is added to what a stripped one has.
    if (level == "-O2 ") CHECK(5 * (maps.sites.size() + maps.shapes.size()) < maps.statistics.loaded);
    const auto reason = std::ranges::find(maps.pins, "map()", &PinReason::function);
    REQUIRE(reason != maps.pins.end());
    CHECK(reason->variable == "m");
    CHECK(reason->type == "std::map<int, int>");
  }
}

TEST_CASE("words are scalars only for certain: by type, by scope, and where nothing shares their place") {
  constexpr const char* kText = R"(
#include <cstddef>
#include <cstdint>
#include <string>
struct Both { long number; int* pointer; int half; };
struct Buffers { char bytes[8]; long number; };
union Either { long number; int* pointer; };
union Numbers { long number; double real; };
enum class Colour : long { red };
enum class Address : std::uintptr_t { none };
typedef double Vector __attribute__((vector_size(16)));
[[gnu::noinline]] void use(const void* p) { asm volatile("" : : "r"(p) : "memory"); }
[[gnu::noinline]] void all() {
  unsigned long unsigneds[2] = {}; auto deduced = reinterpret_cast<std::uintptr_t>(&unsigneds); Address wrapped{};
  Vector vector{}; long longs[4] = {}; double doubles[2] = {}; int ints[4] = {}; long number = 0; Colour colour{}; Numbers numbers{};
  Both both{}; Buffers buffers{}; Either either{}; char text[16] = {}; std::byte bytes[16] = {}; std::uintptr_t address = 0;
  int* pointer = nullptr; std::string string;
  use(unsigneds); use(&deduced); use(&wrapped); use(&vector); use(longs); use(doubles); use(ints); use(&number); use(&colour); use(&numbers);
  use(&both); use(&buffers); use(&either); use(text); use(bytes); use(&address); use(&pointer); use(&string);
}
[[gnu::noinline]] void scopes(int n) {
  use(nullptr);
  if (n > 0) { long inner[3] = {1, 2, 3}; use(inner); } else { int* other[3] = {}; use(other); }
  use(nullptr);
}
[[noreturn, gnu::noinline]] void fail(const std::string& why) { use(&why); __builtin_abort(); }
// GCC may put the message, which is used on a way that does not return, where `dead_end` lies.
[[gnu::noinline]] void throws(int n) {
  long dead_end[2];
  if (n > 3) fail("too large");
  use(dead_end);
}
[[noreturn, gnu::noinline]] void complain(const char* what, int line) { use(what); use(&line); __builtin_abort(); }
// Nothing but constants goes that way, so no object does.
[[gnu::noinline]] void checks(int n) {
  long checked[2];
  if (n > 3) complain("too large", 7);
  use(checked);
}
int main() { all(); scopes(1); scopes(0); throws(1); checks(1); }
)";
  const Workshop shop;
  for (const std::string level : {"-O0 ", "-O2 "}) {
    CAPTURE(level);
    auto kinds = variables_of(linked(shop, kText, level + kMapped));
    CHECK(kinds["longs"] == "ssss");
    CHECK(kinds["doubles"] == "ss");
    CHECK(kinds["ints"] == "ss");
    // Single numbers only where the compiler keeps each in its own place.
    CHECK(kinds["number"] == (level == "-O0 " ? "s" : "?"));
    CHECK(kinds["colour"] == (level == "-O0 " ? "s" : "?"));
    CHECK(kinds["numbers"] == "s");
    CHECK(kinds["unsigneds"] == "??");
    CHECK(kinds["deduced"] == "?");
    CHECK(kinds["wrapped"] == "?");
    CHECK(kinds["vector"] == "??");
    CHECK(kinds["dead_end"] == "??");
    // At -O0 the text goes to its register by way of another.
    CHECK(kinds["checked"] == (level == "-O0 " ? "??" : "ss"));
    CHECK(kinds["both"] == "sps");
    CHECK(kinds["buffers"] == "?s");
    CHECK(kinds["either"] == "?");
    CHECK(kinds["text"] == "??");
    CHECK(kinds["bytes"] == "??");
    CHECK(kinds["address"] == "?");
    CHECK(kinds["pointer"] == "p");
    CHECK(kinds["string"].starts_with("p??"));
    CHECK(kinds["inner"] == "sss");
    CHECK(kinds["other"] == "ppp");
    // The option that keeps places apart is missing: a word may be anything.
    kinds = variables_of(linked(shop, kText, level + kMovable + "-g -fstack-reuse=none "));
    CHECK(kinds["longs"] == "????");
    CHECK(kinds["pointer"] == "p");
  }
}

TEST_CASE("types are written as in the source") {
  constexpr const char* kText = R"(
[[gnu::noinline]] void use(const volatile void* p) { asm volatile("" : : "r"(p) : "memory"); }
int main() {
  volatile char room[300] = {}; const volatile long both[2] = {}; const short table[2][3] = {}; volatile long* pointer = nullptr;
  volatile int* volatile twice = nullptr; const char* const names[2] = {"a", "b"};
  use(room); use(both); use(table); use(&pointer); use(&twice); use(names);
}
)";
  const Workshop shop;
  const StackMaps maps = linked(shop, kText, "-O0 " + kMapped);
  const Names names(maps.names);
  std::map<std::string, std::string> types;
  for (std::uint32_t site = 0; site < maps.statistics.sites; ++site) {
    for (const auto& variable : names.list(site)) types.emplace(names.text(variable.name), names.text(variable.type));
  }
  CHECK(types["room"] == "volatile char[300]");
  CHECK(types["both"] == "const volatile long[2]");
  CHECK(types["table"] == "const short[2][3]");
  CHECK(types["pointer"] == "volatile long*");
  CHECK(types["twice"] == "volatile int* volatile");
  CHECK(types["names"] == "const char* const[2]");
}

TEST_CASE("a temporary that shares a variable's place: the compiler's lifetimes are refused") {
  // With -flifetime-dse, an inlined destructor ends the life of a temporary, and GCC puts `values` in its place.
  const Workshop shop;
  shop.compile("program.cpp", "int main() {}", kMovable + "-g -fno-lifetime-dse -flifetime-dse=2 ");
  const Ran made = shop.link("program.o libruntime.a -o program");
  CHECK(
      made.output ==
      "stacktide-link: program.o is compiled with -flifetime-dse=2, after or without -fno-lifetime-dse: a temporary with a "
      "destructor and a variable in one place of a frame cannot be told apart; set flags before stacktide_goroutines(), or "
      "leave this one out\n");
  CHECK(made.status == 1);
}

TEST_CASE("maps are the same to the byte each time, with every linker, and a program that has them is linked once") {
  constexpr const char* kText = R"(
#include <string>
[[gnu::noinline]] long work(const std::string& s) { return static_cast<long>(s.size()); }
int main() { return static_cast<int>(work("three") - 5); }
)";
  const Workshop shop;
  for (const std::string pie : {"-fPIE -pie", "-fno-pie -no-pie"}) {
    shop.compile("program.cpp", kText, "-O1 " + pie.substr(0, pie.find(' ')) + " " + kMapped);
    for (const std::string& linker : linkers()) {
      CAPTURE(pie + " " + linker);
      const std::string command = pie + " -fuse-ld=" + linker + " -Wl,--build-id=sha1 program.o libruntime.a -o program";
      REQUIRE(shop.in_folder("rm -rf program program.stacktide").status == 0);
      REQUIRE(shop.link(command).status == 0);
      const std::string first = shop.read("program");
      REQUIRE(shop.link(command).status == 0);
      CHECK(shop.read("program") == first);
      CHECK(shop.in_folder("./program").status == 0);
      const Ran check = shop.in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-maps --check program");
      CHECK(check.output == "the maps in program are these\n");
      CHECK(check.status == 0);
      // Of other code they are others.
      shop.compile("other.cpp", std::string(kText) + "[[gnu::noinline, gnu::used]] void more() { work(\"more\"); }",
                   "-O1 " + pie.substr(0, pie.find(' ')) + " " + kMapped);
      REQUIRE(shop.link(pie + " -fuse-ld=" + linker + " other.o libruntime.a -o program").status == 0);
      CHECK(shop.in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-maps --check program").status == 0);
    }
  }
}

TEST_CASE("what no maps can be made of is refused with the reason, and left as it is") {
  const Workshop shop;
  linked(shop, "int main() {}", kMapped);
  const std::string whole = shop.read("program");
  const auto says = [&](const std::string& file) {
    const std::string before = shop.read(file);
    const Ran ran = shop.in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-maps " + file);
    CHECK(ran.status == 2);
    CHECK(shop.read(file) == before);
    return ran.output;
  };
  REQUIRE(
      shop.in_folder("strip -o stripped program && objcopy --strip-debug program plain && head -c 9000 program > short && "
                     "echo text > text && : > empty")
          .status == 0);
  CHECK(says("stripped") == "stacktide-maps: stripped: no symbols: it is stripped; make stack maps before stripping\n");
  CHECK(says("plain").starts_with("stacktide-maps: plain: no debug information, which stack maps are made from ("));
  CHECK(says("plain").ends_with("): compile with -g, and strip afterwards\n"));
  CHECK(says("short") == "stacktide-maps: short: damaged object file: section headers lie outside\n");
  CHECK(says("text") ==
        "stacktide-maps: text: not a linked program for x86-64 Linux, so there is no code to make stack maps of\n");
  CHECK(says("empty") ==
        "stacktide-maps: empty: not a linked program for x86-64 Linux, so there is no code to make stack maps of\n");
  CHECK(says("program.o").starts_with("stacktide-maps: program.o: not a linked program"));
  CHECK(shop.in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-maps nowhere").output ==
        "stacktide-maps: nowhere: No such file or directory\n");
  CHECK(shop.read("program") == whole);
  // Cut off or overwritten anywhere: an error or other maps, never a crash.
  for (std::size_t size = 64; size < whole.size(); size += whole.size() / 60) {
    std::ofstream(shop.at("cut"), std::ios::binary) << whole.substr(0, size);
    CHECK(shop.in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-maps --explain cut").status <= 2);
    std::string damaged = whole;
    for (std::size_t i = 0; i < 64 && size + i < damaged.size(); ++i) damaged[size + i] = static_cast<char>(i * 37);
    std::ofstream(shop.at("cut"), std::ios::binary) << damaged;
    CHECK(shop.in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-maps --explain cut").status <= 2);
  }
}

TEST_CASE("a program without debug information is linked, and nothing in it moves") {
  const Workshop shop;
  shop.compile("program.cpp",
               "[[gnu::noinline]] int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); } int main() { return f(5) - 5; }",
               "-O1 -g0 " + kMovable);
  const Ran made = shop.link("program.o libruntime.a -o program");
  CHECK(made.output.empty());
  REQUIRE(made.status == 0);
  const auto maps = make_stack_maps(shop.at("program"), false);
  REQUIRE(maps.has_value());
  CHECK(maps->statistics.mapped == maps->statistics.sites);
  CHECK(maps->statistics.pinned == maps->statistics.functions);
  CHECK(maps->pinned_sites == maps->statistics.sites);
}

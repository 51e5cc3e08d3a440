// Plain C++ on goroutine stacks, not MOVABLE: objects whose heap parts point back at the stack (map, set, list,
// unordered_map, function), the deep recursion of std::regex, streams, locales, memory resources and virtual calls into the
// library.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <functional>
#include <iomanip>
#include <list>
#include <locale>
#include <map>
#include <memory>
#include <memory_resource>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "rt_support.h"

namespace {

// Walks a container that lives in a frame above, below other frames: what a move would have broken is found here.
template <class Container>
[[gnu::noinline]] std::size_t count_below(const Container& container, int depth) {
  volatile char room[200];
  room[0] = 1;
  if (depth > 0) return count_below(container, depth - 1) + static_cast<std::size_t>(room[0]) - 1;
  return static_cast<std::size_t>(std::distance(container.begin(), container.end()));
}

void trees() {
  std::map<int, std::string> map;
  std::set<std::string> set;
  for (int i = 0; i < 60; ++i) {
    map[i * 7 % 60] = std::to_string(i);
    set.insert("key " + std::to_string(i % 30));
    if (i % 20 == 0) RT_CHECK(count_below(map, 12) == static_cast<std::size_t>(i + 1));
  }
  RT_CHECK(count_below(map, 30) == 60 && count_below(set, 30) == 30);
  int last = -1;
  for (const auto& [key, value] : map) {
    RT_CHECK(key == last + 1 && std::stoi(value) * 7 % 60 == key);
    last = key;
  }
  for (int i = 0; i < 60; i += 2) map.erase(i);
  RT_CHECK(map.size() == 30 && map.begin()->first == 1 && map.rbegin()->first == 59 && count_below(map, 20) == 30);
  std::map<int, std::string> moved = std::move(map);
  RT_CHECK(count_below(moved, 20) == 30 && moved.find(31) != moved.end());
}

void lists_and_tables() {
  std::list<std::string> list;
  std::unordered_map<std::string, int> table;
  std::deque<int> deque;
  for (int i = 0; i < 100; ++i) {
    list.push_back("a string that does not fit in place " + std::to_string(i));
    table["entry " + std::to_string(i)] = i;
    deque.push_front(i);
    if (i % 32 == 0) RT_CHECK(count_below(list, 10) == list.size() && count_below(table, 10) == table.size());
  }
  list.sort(std::greater<>());
  list.reverse();
  RT_CHECK(std::is_sorted(list.begin(), list.end()) && count_below(list, 40) == 100 && count_below(table, 40) == 100);
  for (int i = 0; i < 100; ++i) RT_CHECK(table.at("entry " + std::to_string(i)) == i);
  std::list<std::string> other;
  other.splice(other.end(), list, list.begin(), list.end());
  RT_CHECK(list.empty() && count_below(other, 20) == 100 && deque[99] == 0);
}

[[gnu::noinline]] long call_below(const std::function<long(long)>& f, int depth) {
  volatile char room[150];
  room[0] = 1;
  return depth == 0 ? f(depth) : call_below(f, depth - 1) + room[0];
}

void function_with_references() {
  long a = 1;
  long b = 20;
  std::string c = "300";
  std::vector<long> d = {4000};
  const std::function<long(long)> f = [&a, &b, &c, &d](long x) {
    ++a;
    b += 1;
    c += "0";
    d.push_back(x);
    return a + b + std::stol(c) + d.front();
  };
  RT_CHECK(call_below(f, 25) == 2 + 21 + 3000 + 4000 + 25);
  RT_CHECK(a == 2 && b == 21 && c == "3000" && d.size() == 2);
  RT_CHECK(call_below(f, 50) == 3 + 22 + 30000 + 4000 + 50);
  RT_CHECK(a == 3 && b == 22 && c == "30000" && d.size() == 3);
}

void regular_expressions() {
  static const std::regex pattern("([a-z]+)-(\\d{2,4})(:(x|y)*)?");
  const std::regex local("(a|b)*c");
  std::smatch match;
  const std::string text = "some words, then stack-2048:xyxyx and more";
  RT_CHECK(std::regex_search(text, match, pattern) && match[1] == "stack" && match[2] == "2048" && match[3] == ":xyxyx");
  RT_CHECK(std::regex_match(std::string(150, 'a') + "c", local) && !std::regex_match(std::string(150, 'a') + "d", local));
  RT_CHECK(std::regex_replace(std::string("one-11 two-22"), pattern, "$2-$1") == "11-one 22-two");
}

// A facet of our own: the stream, on the system stack, calls back into checked code.
struct Grouping : std::numpunct<char> {
  char do_thousands_sep() const override { return '\''; }
  std::string do_grouping() const override { return "\3"; }
};

void streams_and_locales() {
  std::ostringstream out;
  out << 42 << ' ' << 3.25 << ' ' << std::hex << 255 << ' ' << std::setw(8) << std::setfill('*') << "right" << std::endl;
  RT_CHECK(out.str() == "42 3.25 ff ***right\n");
  std::istringstream in("17 -2.5 word");
  int i = 0;
  double d = 0;
  std::string word;
  RT_CHECK((in >> i >> d >> word) && i == 17 && d == -2.5 && word == "word" && !(in >> word));
  std::ostringstream grouped;
  grouped.imbue(std::locale(std::locale::classic(), new Grouping));
  grouped << 1234567;
  RT_CHECK(grouped.str() == "1'234'567");
  const auto& facet = std::use_facet<std::ctype<char>>(std::locale::classic());
  std::string upper = "checked";
  facet.toupper(upper.data(), upper.data() + upper.size());
  RT_CHECK(upper == "CHECKED");
}

// A resource of our own below one of the library: calls go to the library and come back.
struct CountingResource : std::pmr::memory_resource {
  long live = 0;
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    ++live;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    --live;
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

void memory_resources() {
  CountingResource counting;
  {
    std::array<std::byte, 512> first;
    std::pmr::monotonic_buffer_resource buffer(first.data(), first.size(), &counting);
    std::pmr::unsynchronized_pool_resource pool(&buffer);
    std::pmr::map<int, std::pmr::string> map(&pool);
    std::pmr::vector<std::pmr::string> strings(&buffer);
    for (int i = 0; i < 50; ++i) {
      map.emplace(i, "a string that does not fit in place");
      strings.emplace_back("another string that does not fit");
    }
    RT_CHECK(count_below(map, 25) == 50 && strings.size() == 50 && counting.live > 0);
    for (const auto& [key, value] : map) RT_CHECK(value.size() == 35 && value.get_allocator().resource() == &pool);
  }
  RT_CHECK(counting.live == 0);
}

void algorithms_and_owners() {
  std::vector<std::string> words;
  for (int i = 0; i < 200; ++i) words.push_back(std::to_string((i * 7919) % 1000));
  std::vector<std::string*> pointers;
  for (auto& word : words) pointers.push_back(&word);
  std::stable_sort(words.begin(), words.end(), [&](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); });
  for (std::size_t i = 1; i < words.size(); ++i) RT_CHECK(std::stoi(words[i - 1]) <= std::stoi(words[i]));
  auto shared = std::make_shared<std::map<int, int>>();
  const std::weak_ptr<std::map<int, int>> weak = shared;
  for (int i = 0; i < 40; ++i) (*shared)[i] = i * i;
  auto sum = std::accumulate(shared->begin(), shared->end(), 0L,
                             [](long total, const auto& entry) { return total + entry.second; });
  RT_CHECK(sum == 20540 && weak.use_count() == 1);
  shared.reset();
  RT_CHECK(weak.expired());
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"trees", trees},
                        {"lists_and_tables", lists_and_tables},
                        {"function_with_references", function_with_references},
                        {"regular_expressions", regular_expressions},
                        {"streams_and_locales", streams_and_locales},
                        {"memory_resources", memory_resources},
                        {"algorithms_and_owners", algorithms_and_owners}});
}

#include "support/park.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/stepper.h"

namespace stacktide::test {

namespace {
std::vector<std::string> with(std::vector<std::string> env, const std::string& more) {
  env.push_back(more);
  return env;
}

}  // namespace

void wait_until_parked(Child& child) {
  child.wait_for_line("ready");
  reading_thread(child.pid());
}

Park::Park(int goroutines, const std::string& program, std::vector<std::string> env)
    : child(Child::start({program, std::to_string(goroutines)},
                         {.env = with(std::move(env), "PARK_TABLE=" + table()), .folder = "", .core = true})) {
  wait_until_parked(child);
}

std::string place_in_park(std::string_view text) {
  std::ifstream source(STACKTIDE_SOURCE_DIR "/samples/park.cpp");
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.find(text) != std::string::npos) return fmt::format("park.cpp:{}", number);
  }
  throw std::runtime_error(fmt::format("no '{}' in samples/park.cpp", text));
}

std::vector<std::string> measured(const Park& park) {
  std::ifstream file(park.table());
  std::vector<std::string> rows;
  std::uint64_t id = 0, depth = 0, size = 0, used = 0, headroom = 0, grows = 0;
  while (file >> id >> depth >> size >> used >> headroom >> grows) {
    rows.push_back(fmt::format("{} {} {} {} {}", id, size, used, headroom, grows));
  }
  std::ranges::sort(rows);
  return rows;
}

std::vector<std::string> listed(const std::string& json) {
  std::vector<std::string> rows;
  const auto parsed = nlohmann::json::parse(json);
  for (const auto& goroutine : parsed.at("goroutines")) {
    if (goroutine.at("status") != "waiting") continue;
    const auto& stack = goroutine.at("stack");
    rows.push_back(fmt::format("{} {} {} {} {}", goroutine.at("id").get<std::uint64_t>(),
                               stack.at("size").get<std::uint64_t>(), stack.at("used").get<std::uint64_t>(),
                               stack.at("headroom").get<std::int64_t>(), goroutine.at("grows").get<std::uint64_t>()));
  }
  std::ranges::sort(rows);
  return rows;
}

}  // namespace stacktide::test

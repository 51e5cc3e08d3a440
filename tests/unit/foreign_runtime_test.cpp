// The walker on descriptors that export less, or other things, than our own runtime does, and the views of it: what is not
// exported is unknown.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "support/fake_snapshot.h"
#include "support/fake_walk.h"
#include "view/json.h"
#include "view/views.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

FakeRuntime with_one(const Values& changes = {}) {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  for (const auto& [name, value] : changes) runtime.goroutines[0][name] = value;
  return runtime;
}

void remove(FakeRuntime& runtime, std::initializer_list<const char*> fields) {
  for (const auto* field : fields) {
    runtime.image.remove_field("goroutine", field);
    runtime.goroutines[0].erase(field);
  }
}

}  // namespace

TEST_CASE("a field that is not exported is unknown, not 0") {
  auto runtime = with_one();
  remove(runtime, {"stackguard", "stackguard0", "high_water", "grows", "links", "shrinks", "hot_splits", "bytes_copied"});
  const auto g = walk_it(runtime).goroutines.at(0);
  CHECK(g.damage.empty());
  CHECK(g.stack.guard_state == GuardState::unknown);
  CHECK_FALSE(g.stack.headroom.has_value());
  CHECK_FALSE(g.stack.high_water.has_value());
  for (const auto& counter : {g.grows, g.links, g.shrinks, g.hot_splits, g.bytes_copied}) CHECK_FALSE(counter.has_value());
  CHECK(g.stack.used == 312);
}

TEST_CASE("without the true guard, the slot tells it unless it holds a request") {
  auto runtime = with_one();
  remove(runtime, {"stackguard"});
  const auto g = walk_it(runtime).goroutines.at(0);
  CHECK(g.stack.guard_state == GuardState::armed);
  CHECK(g.stack.headroom == 2048 - 312 - 928);
  runtime.goroutines[0]["stackguard0"] = static_cast<std::uint64_t>(-1314);
  const auto asked = walk_it(runtime).goroutines.at(0);
  CHECK(asked.stack.guard_state == GuardState::preempt);
  CHECK_FALSE(asked.stack.headroom.has_value());
}

TEST_CASE("registers that the record keeps are part of the saved context") {
  auto runtime = with_one();
  auto& image = runtime.image;
  const auto type = image.type_index("goroutine");
  for (const auto* name : {"rbx", "r12", "r15"}) {
    image.fields.push_back({type, image.name(name), image.types[type].size, 8, STACKTIDE_KIND_UNSIGNED});
    image.types[type].size += 8;
  }
  runtime.goroutines[0].insert({{"rbx", 3}, {"r12", 12}, {"r15", 15}});
  const auto registers = walk_it(runtime).goroutines.at(0).registers;
  CHECK(registers.get(Register::rbx) == 3);
  CHECK(registers.get(Register::r12) == 12);
  CHECK_FALSE(registers.get(Register::r13));
  CHECK(registers.get(Register::r15) == 15);
}

TEST_CASE("without Ms, a running goroutine's thread is the one whose stack pointer lies on its stack") {
  auto runtime = with_one({{"status", 2}});
  runtime.image.contract("scheduler").version = 99;
  FakeTarget target;
  const Address lo = kLo + 0x70000;
  for (const std::uint64_t tid : {20, 21}) {
    Registers registers;
    registers.set(Register::rsp, tid == 20 ? lo - 8 : lo + 1024);
    registers.set(Register::rip, 0x401000);
    target.threads_.push_back({.tid = tid, .name = "", .registers = registers});
  }
  const auto snapshot = walk_it(runtime, target);
  const auto& g = snapshot.goroutines.at(0);
  CHECK(g.tid == 21);
  CHECK(g.registers_live);
  CHECK_FALSE(g.has_m);
  CHECK(g.stack.sp == lo + 1024);
  target.threads_.pop_back();
  const auto elsewhere = walk_it(runtime, target);
  CHECK(elsewhere.goroutines.at(0).tid == 0);
  CHECK_FALSE(elsewhere.goroutines.at(0).registers.get(Register::rip));
}

TEST_CASE("of a stack whose guard and counters are not exported, stack, list and JSON say that they are unknown") {
  auto snapshot = snapshot_of({parked(7)});
  auto& g = snapshot.goroutines[0];
  g.grows = g.links = g.shrinks = g.hot_splits = g.bytes_copied = std::nullopt;
  g.stack.guard = g.stack.guard_slot = 0;
  g.stack.guard_state = GuardState::unknown;
  g.stack.headroom.reset();
  g.stack.high_water.reset();
  const auto text = stack_text({snapshot, g, {{}, true, ""}, report_stack(g, snapshot), {}}, {});
  CHECK(text.find("guard, lo") == std::string::npos);
  CHECK(text.find('-', text.find("hi\n")) > text.find("sp, 312 used"));
  CHECK(text.find("  size         2048 bytes in 1 segment, 312 used, ? to the guard, ? used at most\n"
                  "  guard        unknown\n"
                  "  next check   unknown: goroutine.stackguard0 is not exported\n") != std::string::npos);
  CHECK(text.find("  counters     ? grows, ? shrinks, ? links, ? hot splits, ? bytes copied\n") != std::string::npos);
  ListModel model{snapshot, {{{&g}}}, 1, 1, false, 0};
  CHECK(list_text(model, {}) ==
        "  id  status   wait-reason   function  file:line    size  used  headroom  grows\n"
        "   7  waiting  chan receive  parked    park.cpp:21  2048   312         ?      ?\n"
        "1 goroutine: 1 waiting\n");
  const auto json = to_json(g);
  for (const auto* name : {"guard", "guard_slot", "headroom", "high_water"}) CHECK(json["stack"][name].is_null());
  CHECK(json["stack"]["guard_state"] == "unknown");
  for (const auto* name : {"grows", "links", "shrinks", "hot_splits", "bytes_copied"}) CHECK(json[name].is_null());
}

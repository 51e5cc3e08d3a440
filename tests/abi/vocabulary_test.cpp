// Names: a field of the descriptor that core's snapshot shows has the same name there. What differs is listed here, with the
// reason.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <type_traits>

#include "stacktide/abi.h"
#include "stacktide/core/snapshot.h"

namespace {

// Members of the snapshot that stand for fields of the type; a missing or renamed member does not compile.
#define MEMBER(type, name) ((void)&stacktide::type::name, std::string(#name))

std::set<std::string> goroutine_members() {
  return {MEMBER(Goroutine, id),
          MEMBER(Goroutine, label),
          MEMBER(Goroutine, status),
          MEMBER(Goroutine, wait_reason),
          MEMBER(Goroutine, parent),
          MEMBER(Goroutine, creation_pc),
          MEMBER(Goroutine, entry_pc),
          MEMBER(Goroutine, m),
          MEMBER(Goroutine, caller_pc),
          MEMBER(Goroutine, grows),
          MEMBER(Goroutine, links),
          MEMBER(Goroutine, shrinks),
          MEMBER(Goroutine, hot_splits),
          MEMBER(Goroutine, wait_object),
          MEMBER(Goroutine, bytes_copied),
          MEMBER(Stack, sp),
          MEMBER(Stack, high_water),
          MEMBER(Stack, segments),
          MEMBER(Stack, pinned_pc),
          MEMBER(Stack, moving_from),
          MEMBER(Stack, moving_to)};
}

// Fields whose value the snapshot shows in another form or place.
const std::set<std::string> kGoroutineExceptions = {
    "stack_lo",    "stack_hi",  // Stack::lo, hi: the prefix is the member's name there
    "stackguard",               // Stack::guard, as in JSON
    "stackguard0",              // Stack::guard_slot, decoded as guard_state
    "sequence",                 // read twice by the walker, shown by nobody
    "flags",                    // Goroutine::system
    "pc",          "bp",        // Goroutine::registers
    "wait_since",               // Goroutine::wait_ns: a duration
    "next",                     // the walker follows it
};

const std::set<std::string> kMachineExceptions = {};
const std::set<std::string> kProcessorExceptions = {
    "run_head", "run_tail",  // Processor::run_queue holds what is between them
};
const std::set<std::string> kEventExceptions = {};

template <class Members>
void check(const std::set<std::string>& fields, const Members& members, const std::set<std::string>& exceptions) {
  for (const std::string& field : fields) {
    CAPTURE(field);
    CHECK((members.contains(field) != exceptions.contains(field)));
  }
  for (const std::string& name : exceptions) {
    CAPTURE(name);
    CHECK(fields.contains(name));
  }
  for (const std::string& name : members) {
    CAPTURE(name);
    CHECK(fields.contains(name));
  }
}

#define NAME(type, name, kind) #name,
#define KEY(enumeration, enumerator, value, text) std::string(#enumeration) + " " #value,

}  // namespace

TEST_CASE("the snapshot spells the goroutine's fields as the descriptor does") {
  check({STACKTIDE_FIELDS_goroutine(NAME)}, goroutine_members(), kGoroutineExceptions);
}

TEST_CASE("the snapshot spells the fields of segments, Ms, Ps, events and stack maps as the descriptor does") {
  const std::set<std::string> segment = {MEMBER(Segment, lo), MEMBER(Segment, hi), MEMBER(Segment, sp), MEMBER(Segment, pc)};
  check({STACKTIDE_FIELDS_segment(NAME)}, segment, {"previous"});  // the order of Stack::segments
  const std::set<std::string> machine = {MEMBER(Machine, id),        MEMBER(Machine, tid),       MEMBER(Machine, status),
                                         MEMBER(Machine, goroutine), MEMBER(Machine, p),         MEMBER(Machine, stack_lo),
                                         MEMBER(Machine, stack_hi),  MEMBER(Machine, guard_size)};
  check({STACKTIDE_FIELDS_m(NAME)}, machine, kMachineExceptions);
  const std::set<std::string> processor = {MEMBER(Processor, id),       MEMBER(Processor, status),
                                           MEMBER(Processor, m),        MEMBER(Processor, run_queue),
                                           MEMBER(Processor, run_next), MEMBER(Processor, ticks)};
  check({STACKTIDE_FIELDS_p(NAME)}, processor, kProcessorExceptions);
  const std::set<std::string> event = {
      MEMBER(StackEvent, time),     MEMBER(StackEvent, goroutine), MEMBER(StackEvent, kind),     MEMBER(StackEvent, old_lo),
      MEMBER(StackEvent, new_lo),   MEMBER(StackEvent, old_size),  MEMBER(StackEvent, new_size), MEMBER(StackEvent, used),
      MEMBER(StackEvent, adjusted), MEMBER(StackEvent, duration),  MEMBER(StackEvent, pc),       MEMBER(StackEvent, scanned),
      MEMBER(StackEvent, ring),     MEMBER(StackEvent, caller)};
  check({STACKTIDE_FIELDS_event(NAME)}, event, kEventExceptions);
  const std::set<std::string> maps = {MEMBER(StackMapsInfo, address),       MEMBER(StackMapsInfo, size),
                                      MEMBER(StackMapsInfo, adjust),        MEMBER(StackMapsInfo, walks),
                                      MEMBER(StackMapsInfo, complete),      MEMBER(StackMapsInfo, frames),
                                      MEMBER(StackMapsInfo, words_skipped), MEMBER(StackMapsInfo, words_checked),
                                      MEMBER(StackMapsInfo, words_scanned), MEMBER(StackMapsInfo, lookalikes)};
  check({STACKTIDE_FIELDS_stack_maps(NAME)}, maps, {});
}

TEST_CASE("the scheduler's numbers are kept by the descriptor's names, whatever they are") {
  CHECK((std::is_same_v<decltype(stacktide::Scheduler::values), std::map<std::string, std::uint64_t>>));
  const std::set<std::string> fields = {STACKTIDE_FIELDS_scheduler(NAME)};
  CHECK(fields.contains("policy"));
  CHECK(fields.contains("global_size"));
  (void)&stacktide::Scheduler::policy;
}

TEST_CASE("no enumeration has two texts for one value, and no field is listed twice") {
  const std::multiset<std::string> keys = {STACKTIDE_ENUMS(KEY)};
  for (const std::string& key : keys) CHECK(keys.count(key) == 1);
  const std::multiset<std::string> fields = {STACKTIDE_FIELDS_goroutine(NAME)};
  for (const std::string& field : fields) CHECK(fields.count(field) == 1);
}

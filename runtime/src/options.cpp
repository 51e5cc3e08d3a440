#include "options.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "fatal.h"

namespace stacktide::runtime {
namespace {

[[noreturn]] void refuse(const char* name, const char* value, const char* wanted) {
  char text[256];
  std::snprintf(text, sizeof text, "%s=%.80s: wants %s", name, value, wanted);
  fatal(text);
}

// Bytes, with an optional suffix K, M or G.
std::uint64_t size_option(const char* name, std::uint64_t fallback, std::uint64_t lowest, std::uint64_t highest,
                          const char* wanted, bool power = true) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == 0) return fallback;
  char* end = nullptr;
  std::uint64_t number = std::strtoull(value, &end, 10);
  unsigned shift = 0;
  if (*end == 'K' || *end == 'k') shift = 10;
  if (*end == 'M' || *end == 'm') shift = 20;
  if (*end == 'G' || *end == 'g') shift = 30;
  if (end == value || end[shift != 0 ? 1 : 0] != 0 || number > highest >> shift) refuse(name, value, wanted);
  number <<= shift;
  if (number < lowest || (power && !std::has_single_bit(number))) refuse(name, value, wanted);
  return number;
}

bool switch_option(const char* name, bool fallback) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == 0) return fallback;
  if (std::strcmp(value, "off") != 0 && std::strcmp(value, "on") != 0) refuse(name, value, "on or off");
  return std::strcmp(value, "on") == 0;
}

std::uint32_t cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int n = CPU_COUNT(&set);
  return n < 1 ? 1 : n > 256 ? 256 : static_cast<std::uint32_t>(n);
}

}  // namespace

Options read_options() {
  Options options;
  options.max_procs = cores();
  if (const char* value = std::getenv("STACKTIDE_MAXPROCS"); value != nullptr && *value != 0) {
    char* end = nullptr;
    const unsigned long n = std::strtoul(value, &end, 10);
    if (*end != 0 || n < 1 || n > 256) refuse("STACKTIDE_MAXPROCS", value, "a number from 1 to 256");
    options.max_procs = static_cast<std::uint32_t>(n);
  }
  if (const char* value = std::getenv("STACKTIDE_POLICY"); value != nullptr && *value != 0) {
    if (std::strcmp(value, "auto") == 0) {
      options.policy = policy_automatic;
    } else if (std::strcmp(value, "contiguous") == 0) {
      options.policy = policy_contiguous;
    } else if (std::strcmp(value, "segmented") == 0) {
      options.policy = policy_segmented;
    } else {
      refuse("STACKTIDE_POLICY", value, "auto, contiguous or segmented");
    }
  }
  if (const char* value = std::getenv("STACKTIDE_ADJUST"); value != nullptr && *value != 0) {
    if (std::strcmp(value, "maps") == 0) {
      options.adjust = adjust_maps;
    } else if (std::strcmp(value, "scan") == 0) {
      options.adjust = adjust_scan;
    } else {
      refuse("STACKTIDE_ADJUST", value, "maps or scan");
    }
  }
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  constexpr const char* kSize = "a power of two from 2048 to 1G, such as 64K";
  options.min_stack = size_option("STACKTIDE_MINSTACK", options.min_stack, 2048, kGiB, kSize);
  options.segment_size = size_option("STACKTIDE_SEGMENT", options.segment_size, 2048, kGiB, kSize);
  options.max_stack = size_option("STACKTIDE_MAXSTACK", options.max_stack, 2048, kGiB, kSize);
  options.events = static_cast<std::uint32_t>(
      size_option("STACKTIDE_EVENTS", options.events, 16, 1 << 24, "a power of two from 16 to 16M"));
  options.shrink = switch_option("STACKTIDE_SHRINK", options.shrink);
  options.strict = switch_option("STACKTIDE_STRICT", options.strict);
  if (const char* value = std::getenv("STACKTIDE_STRESS"); value != nullptr && *value != 0) {
    if (std::strcmp(value, "move") != 0) refuse("STACKTIDE_STRESS", value, "move");
    options.stress_move = true;
    options.freed = freed_poison;
  }
  if (const char* value = std::getenv("STACKTIDE_FREED"); value != nullptr && *value != 0) {
    if (std::strcmp(value, "reuse") == 0) {
      options.freed = freed_reuse;
    } else if (std::strcmp(value, "poison") == 0) {
      options.freed = freed_poison;
    } else if (std::strcmp(value, "unmap") == 0) {
      options.freed = freed_unmap;
    } else {
      refuse("STACKTIDE_FREED", value, "reuse, poison or unmap");
    }
  }
  if (const char* value = std::getenv("STACKTIDE_TRACE"); value != nullptr && *value != 0) options.trace.path = value;
  if (const char* value = std::getenv("STACKTIDE_TRACE_FULL"); value != nullptr && *value != 0) {
    if (std::strcmp(value, "wait") != 0 && std::strcmp(value, "drop") != 0)
      refuse("STACKTIDE_TRACE_FULL", value, "wait or drop");
    options.trace.waits = std::strcmp(value, "wait") == 0;
  }
  options.trace.limit =
      size_option("STACKTIDE_TRACE_LIMIT", 0, 1 << 20, std::uint64_t{1} << 50, "a size from 1M, such as 500M", false);
  if (const char* value = std::getenv("STACKTIDE_TRACEBACK"); value != nullptr && *value != 0) {
    // In the order of TracebackLevel.
    constexpr const char* kLevels[] = {"none", "single", "all", "system"};
    const auto* level = std::find_if(std::begin(kLevels), std::end(kLevels),
                                     [&](const char* word) { return std::strcmp(value, word) == 0; });
    if (level == std::end(kLevels)) refuse("STACKTIDE_TRACEBACK", value, "none, single, all or system");
    options.traceback = static_cast<TracebackLevel>(level - std::begin(kLevels));
  }
  return options;
}

}  // namespace stacktide::runtime

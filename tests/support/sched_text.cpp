#include "support/sched_text.h"

#include <regex>

namespace stacktide::test {

std::string alike(std::string sched) {
  sched = std::regex_replace(sched, std::regex("(  +CPU|  +[0-9]+|  +-)(?=\n)"), "");
  sched = std::regex_replace(sched, std::regex("(\n +[0-9]+  )\\S+(?= +0x)"), "$1");
  return std::regex_replace(sched, std::regex("  +"), "  ");
}

}  // namespace stacktide::test

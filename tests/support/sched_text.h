// `sched` as text, without what differs from look to look at the same threads.
#pragma once

#include <string>

namespace stacktide::test {

// Without the column of CPUs and without names of threads, which a core does not have; columns are two spaces apart.
std::string alike(std::string sched);

}  // namespace stacktide::test

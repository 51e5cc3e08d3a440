#include "process_barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace stacktide::runtime {
namespace {

long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

}  // namespace

constinit bool detail_barrier::registered = false;

void prepare_process_barrier() { detail_barrier::registered = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0; }

void process_barrier() { membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED); }

}  // namespace stacktide::runtime

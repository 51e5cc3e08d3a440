"""What compare.sh measures: one row each, with what is done for one operation.

Each side does the same work; how is in goroutines.cpp and its like, main.go, fibers.cpp, threads.cpp and plain.cpp. A side that does not list
a row has no counterpart.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    what: str
    unit: str = "ns"
    each_procs: bool = True  # measured at each number of processors, else once, at one
    environment: tuple = ()  # of the goroutine side
    once: bool = False  # a round is one measurement, however long it takes


ROWS = (
    Row("yield", "two goroutines for each processor yield in turns: one yield, in time of a processor. Fibers: two, resumed by a loop. Threads: two, "
        "each wakes the other by futex and sleeps"),
    Row("spawn_exit", "start a goroutine that adds to a counter, and yield until it has ended. Fibers: make one, resume it to its end. "
        "Threads: create and join"),
    Row("spawn_exit_100", "the same, 100 started before the first yield: one of them"),
    Row("spawn_exit_10000", "the same, 10,000"),
    Row("ping_pong", "two goroutines, two channels without buffer: one value there and back"),
    Row("buffered", "one goroutine sends, one receives, through a channel of 128: one value"),
    Row("fan_in", "1000 goroutines send on one channel without buffer, one receives: one value"),
    Row("recurse_10", "start a goroutine that calls itself 10 deep, 64 bytes of stack a call, and wait for its end by a wait group"),
    Row("recurse_100", "the same, 100 deep"),
    Row("recurse_1000", "the same, 1000 deep"),
    Row("recurse_10000", "the same, 10,000 deep"),
    Row("grow_copy", "a stack that is in use grows from 32 to 64 KiB: for each KiB gained; median of 401 fresh goroutines", once=True),
    Row("grow_link", "a new segment of 32 KiB instead (STACKTIDE_POLICY=segmented): for each KiB gained", once=True,
        environment=(("STACKTIDE_POLICY", "segmented"), ("STACKTIDE_SEGMENT", "32K"))),
    Row("grow_longest", "the longest step of a recursion to 20 MB, 256 bytes a call: the growth to 32 MiB", once=True),
    Row("shrink", "halve the stack of a parked goroutine, of 1000, from 32, 16 and 8 KiB. Go does it in a collection: the time of one, less that of one "
        "with nothing to shrink", once=True, environment=(("STACKTIDE_SHRINK", "off"),)),
    Row("parked_bytes", "resident memory for each of 100,000 goroutines that wait on a channel. 20,000 fibers, 2000 threads", unit="bytes", once=True),
    Row("boundary_contiguous", "call a function that did not fit at its first call: the stack has grown", each_procs=False,
        environment=(("STACKTIDE_POLICY", "contiguous"),)),
    Row("boundary_segmented", "the same where stacks are linked: each call takes a segment and gives it back", each_procs=False,
        environment=(("STACKTIDE_POLICY", "segmented"),)),
    Row("call_direct", "call a function that calls another: two stack checks (in Go one). Plain: without checks", each_procs=False),
    Row("call_inlined", "the same work inlined: none", each_procs=False),
    Row("call_library", "call a function of a library, compiled without checks: it runs on the thread's stack. Plain: a direct call", each_procs=False),
    Row("call_library_c", "the same with a C function that the linker knows no argument types of: what may be arguments on the stack is copied",
        each_procs=False),
    Row("call_indirect", "as call_direct, the first call through a pointer", each_procs=False),
    Row("thread_switch_same", "hand a value to another thread of the same processor; goroutines are locked to their threads", each_procs=False),
    Row("thread_switch_other", "the same, to a thread of another processor", each_procs=False),
)

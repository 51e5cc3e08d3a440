"""Run by an unmodified GDB on rt_step: steps through the ways off a goroutine's stack, instruction by instruction, and looks at the backtrace at each.

At every instruction of __morestack and of the thunks, and at the first of each function that they call, the innermost frame must lead down to
the goroutine's entry. Only addresses are looked at, so the program may be stripped: the file STEP_CODE has a line `NAME LO HI` for each function,
in the program's own addresses. The last line printed is `steps N checked N wrong N`.
"""
import bisect
import os

import gdb

LEVELS = 5
NOT_STEPPED = ("yields", "lasts", "preempted")  # others run meanwhile, on any thread


def quietly(command):
    return gdb.execute(command, to_string=True)


def word(expression):
    return int(gdb.parse_and_eval(expression)) & (2**64 - 1)


class Code:
    def __init__(self, text):
        rows = (line.rsplit(" ", 2) for line in text.splitlines())
        self.ranges = sorted((int(lo, 16), int(hi, 16), name) for name, lo, hi in rows)
        self.starts = [lo for lo, _, _ in self.ranges]
        self.start_of = {name: lo for lo, _, name in self.ranges}
        self.base = 0

    def name(self, address):
        at = bisect.bisect_right(self.starts, address - self.base) - 1
        return self.ranges[at][2] if at >= 0 and address - self.base < self.ranges[at][1] else ""

    def address(self, name):
        return self.base + self.start_of[name]


def frames(code):
    names = []
    frame = gdb.newest_frame()
    while frame is not None and len(names) < 300:
        # Inlined frames share their function's address. A return address may lie behind its function's end.
        if frame.type() != gdb.INLINE_FRAME:
            names.append(code.name(frame.pc() - (1 if names else 0)) or hex(frame.pc()))
        frame = frame.older()
    return names


def is_way_off(name):
    return name == "__morestack" or name.startswith(("__wrap_", "__x86_indirect_thunk_", "stacktide_current_id"))


def main():
    for setting in ("pagination off", "confirm off", "env STACKTIDE_MAXPROCS=1", "env STACKTIDE_SEGMENT=2048"):
        quietly("set " + setting)
    with open(os.environ["STEP_CODE"], encoding="utf-8") as file:
        code = Code(file.read())
    quietly("starti < /dev/zero")
    program = gdb.current_progspace().filename
    code.base = next(int(line.split()[0], 16) for line in quietly("info proc mappings").splitlines() if program in line)
    quietly("tbreak *0x%x" % code.address("ways"))
    quietly("continue")
    own = ("ways", "narrow", "wide", "indirect", "error_number", "runtime_call", "grows", "variadic", "sums", "on_the_system_stack", "checked")
    steps = checked = wrong = 0
    came_from = ""
    while steps < 20000:
        pc = word("$pc")
        name = code.name(pc)
        if name == "finish":
            break
        if is_way_off(name) or is_way_off(came_from):
            seen = frames(code)
            checked += 1
            if seen[-1] != "stacktide_goroutine_start" or seen.count("level") != LEVELS or "ways" not in seen or seen.count("entry") != 1:
                wrong += 1
                if wrong < 10:
                    print("wrong at 0x%x in %s: %s" % (pc - code.base, name, " ".join(seen)))
        if name in NOT_STEPPED or not (is_way_off(name) or name in own):
            quietly("tbreak *0x%x thread %d" % (word("*(unsigned long *)$rsp"), gdb.selected_thread().num))
            quietly("continue")
            came_from = ""
            continue
        quietly("stepi")
        steps += 1
        came_from = name
    quietly("kill")
    print("steps %d checked %d wrong %d" % (steps, checked, wrong))


main()

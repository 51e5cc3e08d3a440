"""Run by an unmodified GDB on rt_frames: steps through a growth, instruction by instruction, and looks at the backtrace at each.

At every instruction of __morestack, at the first of each function that it calls, in the function's body, and, when a segment was
linked, on the way back, the innermost frame must lead down to the goroutine's entry. The last line printed is
`steps N checked N wrong N`.
"""
import gdb

INSIDE = 40  # instructions of each called function that are looked at


def frames():
    names = []
    frame = gdb.newest_frame()
    while frame is not None and len(names) < 300:
        names.append((frame.name() or "?").split("(")[0])
        frame = frame.older()
    return names


def value(expression):
    return int(gdb.parse_and_eval(expression)) & (2**64 - 1)


def quietly(command):
    return gdb.execute(command, to_string=True)


class Walk:
    def __init__(self):
        self.checked = self.steps = self.wrong = 0

    def check(self, where, least):
        names = frames()
        self.checked += 1
        if names[-1] != "stacktide_goroutine_start" or "entry" not in names or names.count("level") < least:
            self.wrong += 1
            print("wrong at %s, 0x%x: %s" % (where, value("$pc"), " ".join(names)))

    def through_morestack(self, least):
        for _ in range(200):
            symbol = quietly("info symbol $pc")
            if not symbol.startswith(("__morestack", "stacktide_segment_return")):
                return
            self.check("step %d" % self.steps, least)
            self.steps += 1
            instruction = quietly("x/i $pc")
            quietly("stepi")
            if "call" in instruction and "stacktide_" in instruction:
                back = value("*(unsigned long *)$rsp")
                for inner in range(INSIDE):
                    self.check("instruction %d of the call" % inner, least)
                    quietly("stepi")
                quietly("tbreak *0x%x" % back)
                quietly("continue")


def main():
    for setting in ("pagination off", "confirm off", "env STACKTIDE_MAXPROCS=1"):
        quietly("set " + setting)
    quietly("starti grow")
    quietly("break *__morestack")
    quietly("continue")
    while "level" not in frames():
        quietly("continue")
    quietly("delete")
    walk = Walk()
    levels = frames().count("level")
    # While the body is about to run on a new segment, its function is in no frame yet.
    walk.through_morestack(levels - 1)
    walk.check("the body", levels)
    if "__morestack" in frames()[:3]:
        quietly("tbreak *&stacktide_segment_return")
        quietly("continue")
        walk.through_morestack(levels - 1)
        for _ in range(4):
            walk.check("the return", levels - 1)
            quietly("stepi")
    quietly("kill")
    print("steps %d checked %d wrong %d" % (walk.steps, walk.checked, walk.wrong))


main()

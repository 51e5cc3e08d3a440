"""What runtime_step_gdb.py does, for an unmodified LLDB: `command script import` it with rt_frames as the target."""
import lldb

INSIDE = 20  # instructions of each called function that are looked at


class Walk:
    def __init__(self, target):
        self.target = target
        self.process = None
        self.checked = self.steps = self.wrong = 0

    def stopped(self):
        for thread in self.process:
            if thread.GetStopReason() == lldb.eStopReasonBreakpoint:
                return thread
        raise RuntimeError("no thread is at a breakpoint; the process is %s" % self.process.GetState())

    def run_to(self, address):
        breakpoint = self.target.BreakpointCreateByAddress(address)
        self.process.Continue()
        self.target.BreakpointDelete(breakpoint.GetID())
        return self.stopped()

    def check(self, thread, where, least):
        names = frames(thread)
        self.checked += 1
        if not names or names[-1] != "stacktide_goroutine_start" or "entry" not in names or names.count("level") < least:
            self.wrong += 1
            print("wrong at %s, 0x%x: %s" % (where, thread.frames[0].GetPC(), " ".join(names)))

    def through_morestack(self, thread, least):
        for _ in range(200):
            frame = thread.frames[0]
            if frame.GetSymbol().GetName() not in ("__morestack", "stacktide_segment_return"):
                return thread
            self.check(thread, "step %d" % self.steps, least)
            self.steps += 1
            instruction = self.target.ReadInstructions(frame.GetPCAddress(), 1)[0]
            thread.StepInstruction(False)
            if instruction.GetMnemonic(self.target).startswith("call") and "stacktide_" in instruction.GetComment(self.target):
                for inner in range(INSIDE):
                    self.check(thread, "instruction %d of the call" % inner, least)
                    thread.StepInstruction(False)
                thread = self.run_to(instruction.GetAddress().GetLoadAddress(self.target) + instruction.GetByteSize())
        return thread


def frames(thread):
    return [(frame.GetFunctionName() or "?").split("(")[0] for frame in thread.frames]


def main():
    lldb.debugger.SetAsync(False)
    target = lldb.debugger.GetSelectedTarget()
    walk = Walk(target)
    entry = target.FindSymbols("__morestack")[0].GetSymbol().GetStartAddress()
    first = target.BreakpointCreateBySBAddress(entry)
    info = lldb.SBLaunchInfo(["grow"])
    info.SetEnvironmentEntries(["STACKTIDE_MAXPROCS=1"], True)
    error = lldb.SBError()
    walk.process = target.Launch(info, error)
    if not error.Success():
        raise RuntimeError(error.GetCString())
    thread = walk.stopped()
    while "level" not in frames(thread):
        walk.process.Continue()
        thread = walk.stopped()
    target.BreakpointDelete(first.GetID())
    levels = frames(thread).count("level")
    thread = walk.through_morestack(thread, levels - 1)
    walk.check(thread, "the body", levels)
    if "__morestack" in frames(thread)[:3]:
        label = target.FindSymbols("stacktide_segment_return")[0].GetSymbol().GetStartAddress()
        thread = walk.run_to(label.GetLoadAddress(target))
        thread = walk.through_morestack(thread, levels - 1)
        for _ in range(4):
            walk.check(thread, "the return", levels - 1)
            thread.StepInstruction(False)
    walk.process.Kill()
    print("steps %d checked %d wrong %d" % (walk.steps, walk.checked, walk.wrong))


main()

"""`goroutine next` and `goroutine finish`: steps that know a frame by its distance from the top of its goroutine's stack.

GDB knows a frame by its address, so its own next and finish run on when the stack moves below them. Core plans the step
(core/include/stacktide/core/step.h): where to stop, and whether a stop there is the end of it. Here are only internal breakpoints, set for the
step and gone after it, and what GDB prints.

Invariants. Whatever else stops the program (a breakpoint of the user's, a signal, its end) ends the step. A breakpoint's stop() must neither
add nor remove breakpoints, so where core wants more of them the program stops, unseen, and goes on.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import gdb
import stacktide

from .current import Current, thread_registers
from .errors import describe, failure
from .selection import Selection
from .sessions import Sessions, current_inferior


class _StepBreakpoint(gdb.Breakpoint):
    def __init__(self, address: int, run: "_Run") -> None:
        super().__init__("*0x%x" % address, internal=True)
        self.silent = True
        self._run = run

    def stop(self) -> bool:
        """GDB would show what is raised here as a traceback at each hit."""
        try:
            return self._run.ends()
        except BaseException as error:  # pylint: disable=broad-except
            self._run.problem = describe(error)
            return True


class _Run:
    """One step, from the first resumption to its end."""

    def __init__(self, current: Current, step: stacktide.Step) -> None:
        self._current = current
        self._step = step
        self._breakpoints: List[_StepBreakpoint] = []
        self.verdict = "go_on"
        self.problem = ""
        self._users_own = False  # the last stop was, or was also, for a reason of the user's
        self._hits: Dict[int, int] = {}  # of the user's breakpoints, before the last resumption

    def ends(self) -> bool:
        """Whether the thread that came to one of the breakpoints stops there."""
        goroutine = self._current.goroutine()
        if goroutine is None or goroutine.id != self._step.goroutine:
            return False
        self.verdict = self._current.session().step_ends(self._step, goroutine, thread_registers())
        return self.verdict != "go_on"

    def to_its_end(self) -> str:
        """"stop" or "returned" when the step came to its end, "" when something else stopped the program."""
        gdb.events.stop.connect(self._stopped)
        try:
            while True:
                for address in self._missing():
                    self._breakpoints.append(_StepBreakpoint(address, self))
                self.verdict = ""
                self._users_own = False
                self._hits = {breakpoint_.number: breakpoint_.hit_count for breakpoint_ in gdb.breakpoints()}
                gdb.execute("continue")
                if self.problem:
                    raise failure(self.problem)
                if self._users_own or self.verdict != "more":
                    return "" if self._users_own or self.verdict == "go_on" else self.verdict
        finally:
            gdb.events.stop.disconnect(self._stopped)
            for breakpoint_ in self._breakpoints:
                if breakpoint_.is_valid():
                    breakpoint_.delete()

    def _missing(self) -> List[int]:
        there = {breakpoint_.location for breakpoint_ in self._breakpoints}
        return [address for address in self._step.breakpoints if "*0x%x" % address not in there]

    def _stopped(self, event: Any) -> None:
        ours = set(id(breakpoint_) for breakpoint_ in self._breakpoints)
        others = [b for b in getattr(event, "breakpoints", ()) if id(b) not in ours]
        # Where one shares its place with one of ours, its condition may not have held: such a hit is not counted.
        hit = any(b.number > 0 and b.hit_count != self._hits.get(b.number, 0) for b in others)
        self._users_own = hit or not isinstance(event, gdb.BreakpointEvent)


def _machine_frame(frame: gdb.Frame) -> Tuple[int, int]:
    """Its CFA, 0 when it has no caller, and in how many inlined functions its place is."""
    inlined = 0
    while frame.type() == gdb.INLINE_FRAME:
        inlined += 1
        frame = frame.older()
    caller = frame.older()
    return (0 if caller is None else int(caller.read_register("rsp")) & ((1 << 64) - 1)), inlined


def _location() -> Tuple[str, str]:
    """What `frame` prints of the selected frame: its first line without the number, and the rest."""
    head, _, rest = gdb.execute("frame", to_string=True).partition("\n")
    return head.split(None, 1)[1] if head.startswith("#") else head, rest


def _returned_value(value_type: Optional[gdb.Type]) -> Optional[gdb.Value]:
    """Of a function that has just returned, where the calling convention puts it; nothing where that is not certain."""
    if value_type is None:
        return None
    plain = value_type.strip_typedefs()
    frame = gdb.newest_frame()
    if plain.code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_PTR,
                      gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF) and plain.sizeof <= 8:
        raw = frame.read_register("rax")
        if plain.code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            return raw.cast(plain.target().pointer()).dereference()
        return raw.cast(value_type)
    if plain.code == gdb.TYPE_CODE_FLT and plain.sizeof in (4, 8):
        field = "v4_float" if plain.sizeof == 4 else "v2_double"
        return frame.read_register("xmm0")[field][0].cast(value_type)
    if plain.code == gdb.TYPE_CODE_STRUCT and plain.sizeof > 16:  # in memory, and rax says where
        return frame.read_register("rax").cast(value_type.pointer()).dereference()
    return None  # small structures: it depends on their members and constructors


class Stepper:
    def __init__(self, sessions: Sessions, selection: Selection, current: Current) -> None:
        self._sessions = sessions
        self._selection = selection
        self._current = current

    def next(self, arguments: str) -> None:
        """`goroutine next [N]`."""
        words = arguments.split()
        if len(words) > 1 or (words and not (words[0].isdigit() and int(words[0]) > 0)):
            raise failure("goroutine next takes how many lines, as in: goroutine next 3")
        current_inferior()
        for _ in range(int(words[0]) if words else 1):
            before = gdb.newest_frame().name()
            run = self._plan("next", None)
            verdict = run.to_its_end()
            if not verdict:
                return
        head, rest = _location()
        gdb.write((rest if verdict == "stop" and gdb.newest_frame().name() == before else head + "\n" + rest))

    def finish(self, arguments: str) -> None:
        """`goroutine finish`: the selected frame's."""
        if arguments:
            raise failure("goroutine finish takes no arguments: it is about the selected frame")
        current_inferior()
        frame = gdb.selected_frame()
        function = frame.function()
        value_type = function.type.target() if function is not None and function.type.code == gdb.TYPE_CODE_FUNC else None
        head = gdb.execute("frame", to_string=True).partition("\n")[0]
        run = self._plan("finish", frame)
        gdb.write("Run till exit from %s\n" % head)
        verdict = run.to_its_end()
        if not verdict:
            return
        gdb.write("%s\n%s" % _location())
        if verdict == "returned" and value_type is not None and value_type.strip_typedefs().code != gdb.TYPE_CODE_VOID:
            value = _returned_value(value_type)
            if value is not None:
                gdb.write("Value returned is $%d = %s\n" % (gdb.add_history(value), value.format_string()))

    def _plan(self, kind: str, frame: Optional[gdb.Frame]) -> _Run:
        inferior = current_inferior()
        if inferior.connection is not None and inferior.connection.type == "core":
            raise failure("a core does not run: there is nothing to step")
        parked = self._selection.registers is not None and self._selection.shows()
        if parked:
            goroutine = self._sessions.current().goroutine(self._selection.id)
            registers = dict(self._selection.registers or {})
        else:
            goroutine = self._current.goroutine()
            registers = thread_registers()
            if goroutine is None:
                raise failure("thread %d runs no goroutine: use GDB's own %s" % (gdb.selected_thread().num, kind))
        cfa, inlined = 0, 0
        if frame is not None:
            cfa, inlined = _machine_frame(frame)
            if cfa == 0:
                raise failure("\"finish\" not meaningful in the outermost frame.")
        elif not parked:
            _, inlined = _machine_frame(gdb.newest_frame())
        step = self._current.session().plan_step(kind, goroutine, registers, cfa, inlined)
        return _Run(self._current, step)

"""`goroutine trace`: one line per stack event as it happens.

An internal breakpoint on the empty function that the runtime calls after each event, by name, so that it can be set before the
program runs. At its start rdi is the address of the event record and rsi the code address that needed room (System V calling convention);
both still hold there after a prologue, which the function, being empty, does not need them for. The program never stops for the user.
"""

from __future__ import annotations

import collections
from typing import Callable, Deque, Optional

import gdb
import stacktide

from .errors import describe, failure
from .sessions import FILES_CHANGED, Sessions

EVENT_HOOK = "stacktide_stack_event"
KEPT = 10000  # lines for show; the totals count all


def write_line(text: str) -> None:
    """Prints past the pager: a prompt for RETURN would stop the program, and answering q would lose the line."""
    paging = gdb.parameter("pagination")
    if paging:
        gdb.execute("set pagination off", to_string=True)
    try:
        gdb.write(text + "\n")
        gdb.flush()
    finally:
        if paging:
            gdb.execute("set pagination on", to_string=True)


class _EventBreakpoint(gdb.Breakpoint):
    def __init__(self, seen: Callable[[int, int], None]) -> None:
        super().__init__(function=EVENT_HOOK, qualified=True, internal=True)
        self.silent = True
        self._seen = seen

    def stop(self) -> bool:
        """Never stops; GDB would show what is raised here as a traceback at each event."""
        try:
            frame = gdb.newest_frame()
            self._seen(_word(frame, "rdi"), _word(frame, "rsi"))
        except BaseException as error:  # pylint: disable=broad-except
            write_line(describe(error))
        return False


def _hook_is_known() -> bool:
    """Also without debug info: GDB's symbols of a breakpoint are wider than those of Python's lookup functions."""
    try:
        gdb.execute("info address " + EVENT_HOOK, to_string=True)
    except gdb.error:
        return False
    return True


def _word(frame: gdb.Frame, register: str) -> int:
    return int(frame.read_register(register)) & ((1 << 64) - 1)


class Trace:
    """The breakpoint, and what it saw since it was set."""

    def __init__(self) -> None:
        # Events come while the program runs, so this session lives as long as the modules do: core reads just the event's record
        # afresh, and keeps only what it knows of files.
        self._sessions = Sessions(FILES_CHANGED)
        self._sessions.register()
        self._breakpoint: Optional[_EventBreakpoint] = None
        self._waiting = False  # for a program that has the hook
        gdb.events.new_objfile.connect(self._files_changed)
        self._lines: Deque[str] = collections.deque(maxlen=KEPT)
        self._totals: "collections.Counter[str]" = collections.Counter()
        self._unreadable = 0

    @property
    def on(self) -> bool:
        """Whether events are printed; the user may have deleted even an internal breakpoint, by its number."""
        return self._waiting or (self._breakpoint is not None and self._breakpoint.is_valid())

    def start(self) -> str:
        """Sets the breakpoint, now or when the program has the function; returns what to tell the user."""
        connection = gdb.selected_inferior().connection
        if connection is not None and connection.type == "core":
            raise failure("a core does not run: goroutine history shows its last stack events")
        if self.on:
            return "tracing stack events already"
        self._lines.clear()
        self._totals.clear()
        self._unreadable = 0
        if _hook_is_known():
            self._breakpoint = _EventBreakpoint(self._event)
            return "tracing stack events"
        if gdb.selected_inferior().pid != 0:
            raise failure("no function %s: a program without the runtime, or a stripped one" % EVENT_HOOK)
        # Not as a pending breakpoint, of which GDB would say "No symbol table is loaded".
        self._waiting = True
        return "tracing stack events once there is a program"

    def stop(self) -> None:
        """Removes the breakpoint; what was seen stays for show."""
        if self._breakpoint is not None and self._breakpoint.is_valid():
            self._breakpoint.delete()
        self._breakpoint = None
        self._waiting = False

    def show(self) -> str:
        """What was seen, then the totals."""
        total = sum(self._totals.values()) + self._unreadable
        lines = []
        if total > len(self._lines):
            lines.append("(the first %d are counted below but not kept)" % (total - len(self._lines)))
        lines += self._lines
        parts = ["%d %s" % (count, verb) for verb, count in sorted(self._totals.items())]
        if self._unreadable:
            parts.append("%d could not be read" % self._unreadable)
        noun = "event" if total == 1 else "events"
        lines.append("%d stack %s%s; tracing is %s" % (total, noun, ": " + ", ".join(parts) if parts else "", "on" if self.on else "off"))
        return "\n".join(lines)

    def _files_changed(self, _event: object) -> None:
        if self._waiting and _hook_is_known():
            self._waiting = False
            self._breakpoint = _EventBreakpoint(self._event)

    def _event(self, address: int, caller: int) -> None:
        try:
            line = self._sessions.current().describe_event(address, caller)
            # "goroutine 7 grew ...": core's own verb is what is counted.
            self._totals[line.split(" ", 3)[2]] += 1
        except (stacktide.Error, gdb.GdbError, IndexError) as error:
            line = describe(error)
            self._unreadable += 1
        self._lines.append(line)
        write_line(line)

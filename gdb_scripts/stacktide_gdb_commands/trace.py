"""`goroutine trace`: stack events as they happen; core's Trace does the reading, choosing and wording.

An internal breakpoint on an empty function of the runtime's: the one that it calls each time an event ring is half full of new events, or,
for --stop and --bt, the one that it calls at each event. By name, so that it can be set before the program runs; by address where a
stripped program has no names. What is new is also printed at each stop that the user sees.

A trace belongs to one inferior, over all its runs. The other inferiors pass its breakpoint without a word.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Optional

import gdb
import stacktide

from .errors import describe, failure
from .host import REGISTERS
from .sessions import FILES_CHANGED, Sessions

PENDING_HOOK, EVENT_HOOK = stacktide.trace_hooks()


def write_text(text: str) -> None:
    """Prints past the pager: a prompt for RETURN would stop the program, and answering q would lose lines."""
    if not text:
        return
    paging = gdb.parameter("pagination")
    if paging:
        gdb.execute("set pagination off", to_string=True)
    try:
        gdb.write(text)
        gdb.flush()
    finally:
        if paging:
            gdb.execute("set pagination on", to_string=True)


def _knows(function: str) -> bool:
    """Also without debug info: GDB's symbols of a breakpoint are wider than those of Python's lookup functions."""
    try:
        gdb.execute("info address " + function, to_string=True)
    except gdb.error:
        return False
    return True


def _word(frame: gdb.Frame, register: str) -> int:
    return int(frame.read_register(register)) & ((1 << 64) - 1)


class _Hook(gdb.Breakpoint):
    """A breakpoint at one of the hooks, by `function` or, where there is no name, by `address`."""

    def __init__(self, reached: Callable[[], bool], function: str, address: Optional[int], silent: bool) -> None:
        if address is None:
            super().__init__(function=function, qualified=True, internal=True)
        else:
            super().__init__("*%#x" % address, internal=True)
        self.silent = silent
        self._reached = reached

    def stop(self) -> bool:
        """GDB would show what is raised here as a traceback at each event."""
        return self._reached()


class Trace:
    """One inferior's trace: core's part, and the breakpoint."""

    def __init__(self, inferior: gdb.Inferior, sessions: Sessions, words: List[str]) -> None:
        self.words = words
        self._inferior = inferior
        self._sessions = sessions
        self._core = stacktide.Trace(words)
        self._hook: Optional[_Hook] = None
        self._waiting = False  # for a program that has the hook
        self._pid = inferior.pid
        self._problem = ""

    @property
    def on(self) -> bool:
        """Whether events are seen; the user may have deleted even an internal breakpoint, by its number."""
        return self._waiting or (self._hook is not None and self._hook.is_valid())

    def start(self) -> str:
        """Sets the breakpoint, now or when the program has the function; returns what to tell the user."""
        if self._set_hook():
            if self._inferior.pid != 0:
                self._core.skip(self._sessions.current())
            return "tracing stack events"
        if self._inferior.pid != 0:
            raise failure("no function %s: a program without the runtime, or a stripped one" % PENDING_HOOK)
        # Not as a pending breakpoint, of which GDB would say "No symbol table is loaded".
        self._waiting = True
        return "tracing stack events once there is a program"

    def stop(self) -> None:
        """Removes the breakpoint; what was seen stays for show."""
        if self._hook is not None and self._hook.is_valid():
            self._hook.delete()
        self._hook = None
        self._waiting = False

    def show(self, words: List[str], terminal: bool, colour: bool, width: int) -> str:
        """What was seen. A wrong option is an error."""
        out, err, code = self._core.show(words, host="gdb", terminal=terminal, colour=colour, width=width, on=self.on)
        if code != 0:
            raise failure(err.strip())
        return out

    def check(self, words: List[str]) -> str:
        """What was seen, against rules. A rule that fails, or may have held for want of events, is an error, so that `gdb -batch` ends with status 1."""
        out, err, code = self._core.check(words, host="gdb", pid=self._pid)
        if code != 0:
            gdb.write(out)
            raise failure(err.strip())
        return out

    def collect(self) -> None:
        """Prints what is new, at a stop that the user sees."""
        if self.on and self._inferior.pid != 0 and not self._waiting:
            self._run(lambda: self._collect(at_hook=False))

    def files_changed(self) -> None:
        """The program may have the hook now. One that was attached to has a past, which is none of the trace's."""
        if self._waiting and _knows_any():
            self._waiting = not self._set_hook()
        if self.on and self._inferior.pid not in (0, self._pid) and self._inferior.was_attached:
            self._run(self._skip)

    def _set_hook(self) -> bool:
        for function, per_event in ((PENDING_HOOK, False), (EVENT_HOOK, True)):
            if self._core.per_event and not per_event:
                continue
            address = None
            if not _knows(function):
                address = self._exported(per_event)
                if address is None:
                    continue
            if per_event and not self._core.per_event:
                self._core.use_event_hook()
            self._hook = _Hook(self._at_event if per_event else self._at_pending, function, address, silent=not per_event)
            return True
        return False

    def _exported(self, per_event: bool) -> Optional[int]:
        """Where the runtime of a live process says that the hook is."""
        if self._inferior.pid == 0:
            return None
        try:
            session = self._sessions.current()
            return session.event_hook() if per_event else session.pending_hook()
        except (stacktide.Error, gdb.GdbError):
            return None

    def _at_pending(self) -> bool:
        return self._is_ours() and self._run(lambda: self._collect(at_hook=True))

    def _at_event(self) -> bool:
        return self._is_ours() and self._run(self._collect_event)

    def _is_ours(self) -> bool:
        return gdb.selected_inferior().num == self._inferior.num

    def _skip(self) -> bool:
        self._core.restart()
        self._pid = self._inferior.pid
        self._core.skip(self._sessions.current())
        return False

    def _collect_event(self) -> bool:
        # At the function's start rdi is the address of the event record and rsi the code address that needed room (System V
        # calling convention); both still hold there after a prologue, which the function, being empty, does not need them for.
        frame = gdb.newest_frame()
        registers: Dict[str, int] = {}
        if self._core.wants_registers:
            registers = {name: _word(frame, name) for name in REGISTERS}
        return self._collect(at_hook=True, event=_word(frame, "rdi"), caller=_word(frame, "rsi"), registers=registers)

    def _collect(self, **where: object) -> bool:
        if self._pid != self._inferior.pid:
            self._core.restart()
            self._pid = self._inferior.pid
        text, stop = self._core.collect(self._sessions.current(), **where)
        write_text(text)
        return bool(stop)

    def _run(self, work: Callable[[], bool]) -> bool:
        """What goes wrong is a line, once and not at each of a thousand stops; the program goes on."""
        try:
            return work()
        except BaseException as error:  # pylint: disable=broad-except
            problem = describe(error)
            if problem != self._problem:
                self._problem = problem
                write_text(problem + "\n")
        return False


def _knows_any() -> bool:
    return _knows(PENDING_HOOK) or _knows(EVENT_HOOK)


class Traces:
    """`goroutine trace`, for the selected inferior."""

    def __init__(self) -> None:
        # Events come while the program runs, so these sessions live as long as the modules do: core reads the rings afresh, and
        # keeps only what it knows of files.
        self._sessions = Sessions(FILES_CHANGED)
        self._sessions.register()
        self._traces: Dict[int, Trace] = {}
        # In this order after the sessions' own.
        gdb.events.new_objfile.connect(self._files_changed)
        gdb.events.stop.connect(self._stopped)
        gdb.events.inferior_deleted.connect(self._deleted)

    def run(self, argument: str, from_tty: bool, width: int) -> None:
        """The words after `goroutine trace`."""
        words = gdb.string_to_argv(argument)
        verb, rest = (words[0], words[1:]) if words else ("", [])
        if verb == "on":
            gdb.write("[%s]\n" % self._start(rest))
        elif verb == "off" and not rest:
            trace = self._traces.get(gdb.selected_inferior().num)
            if trace is not None:
                trace.collect()
                trace.stop()
            gdb.write("[tracing is off]\n")
        elif verb == "show":
            trace = self._traces.get(gdb.selected_inferior().num) or Trace(gdb.selected_inferior(), self._sessions, [])
            trace.collect()
            terminal = from_tty and os.isatty(0) and os.isatty(1)
            gdb.write(trace.show(rest, terminal, False, width))
        elif verb == "check":
            trace = self._traces.get(gdb.selected_inferior().num)
            if trace is None:
                raise failure("nothing was traced: goroutine trace on --quiet, then run")
            trace.collect()
            gdb.write(trace.check(rest))
        else:
            raise failure(stacktide.trace_usage())

    def _start(self, words: List[str]) -> str:
        inferior = gdb.selected_inferior()
        connection = inferior.connection
        if connection is not None and connection.type == "core":
            raise failure("a core does not run: goroutine history shows its last stack events")
        old = self._traces.get(inferior.num)
        if old is not None and old.on and old.words == words:
            return "tracing stack events already"
        trace = Trace(inferior, self._sessions, words)  # wrong options leave the old one alone
        if old is not None:
            old.stop()
        text = trace.start()
        self._traces[inferior.num] = trace
        return text

    def _files_changed(self, _event: object) -> None:
        trace = self._traces.get(gdb.selected_inferior().num)
        if trace is not None:
            trace.files_changed()

    def _stopped(self, _event: object) -> None:
        trace = self._traces.get(gdb.selected_inferior().num)
        if trace is not None:
            trace.collect()

    def _deleted(self, event: object) -> None:
        trace = self._traces.pop(event.inferior.num, None)
        if trace is not None:
            trace.stop()

"""Warns after a step of GDB's own during which the goroutine's stack moved: next, step, finish, until, advance.

GDB knows a frame by its address, so such a step may have gone on to the next breakpoint, or to the program's end. After `continue` there is nothing to
warn of, and neither a stop event nor `info program` tells the two apart when a step ran away. So each stepping command has a
hook of GDB's (`help define`), which notes the goroutine as the step begins; a stop that no step led to costs nothing. A hook that the user has
defined stays, and that command is then not watched.
Rejected: reading the history of commands (scripts and batches have none), watching the runtime's event hook (a breakpoint hit for each growth).
"""

from __future__ import annotations

from typing import Any, Optional

import gdb
import stacktide

from .current import Current
from .errors import PREFIX

STEPS = ("next", "step", "finish", "until", "advance")
BEGINS = "stacktide-step-begins"


class _StepBegins(gdb.Command):
    """Notes the goroutine that GDB is about to step (stacktide's own: it warns when the stack moves meanwhile)."""

    def __init__(self, warning: "MoveWarning") -> None:
        super().__init__(BEGINS, gdb.COMMAND_OBSCURE)
        self._warning = warning

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        """An error here would keep GDB from stepping."""
        try:
            self._warning.begin()
        except BaseException:  # pylint: disable=broad-except
            pass


class MoveWarning:
    def __init__(self, current: Current) -> None:
        self._current = current
        self._before: Optional[stacktide.Goroutine] = None

    def register(self) -> None:
        """Defines the hooks."""
        _StepBegins(self)
        for command in STEPS:
            try:
                gdb.execute("help hook-" + command, to_string=True)
            except gdb.error:
                gdb.execute("define hook-%s\n%s\nend" % (command, BEGINS), to_string=True)
        gdb.events.stop.connect(self._stopped)
        gdb.events.exited.connect(self._exited)

    def begin(self) -> None:
        """A step of GDB's begins."""
        self._before = None
        self._before = self._current.goroutine()

    def _stopped(self, _event: Any) -> None:
        before, self._before = self._before, None
        if before is None:
            return
        try:
            after = self._current.session().reread(before)
            text = stacktide.end_warning(before, "GDB") if after is None else stacktide.move_warning(before, after, "GDB")
        except Exception:  # what cannot be read is no reason to disturb the stop
            return
        _say(text)

    def _exited(self, _event: Any) -> None:
        before, self._before = self._before, None
        if before is not None:
            _say(stacktide.end_warning(before, "GDB"))


def _say(text: str) -> None:
    if text:
        gdb.write(PREFIX + text + "\n", gdb.STDERR)

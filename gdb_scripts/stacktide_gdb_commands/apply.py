"""Commands in a goroutine's context: `goroutine ID`, `goroutine ID CMD`, `goroutine all CMD`, `goroutine apply ID...|all [-q] [-s] CMD`.

CMD is core's where core's table has it for one goroutine, and GDB's own else. `bt` and `list` are GDB's: there GDB has a command of
that name, and that is what it does after `thread apply 7`.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional

import gdb
import stacktide

from . import errors
from .errors import failure
from .host import PromptContext, select_frame, thread_id
from .selection import Selection
from .sessions import Sessions, current_inferior

GDBS_OWN = frozenset(("bt", "list"))


def table() -> List[str]:
    """Core's commands."""
    return [name for name, _, _, _ in stacktide.commands()]


def is_about_one(name: str) -> bool:
    """Whether core's command takes the id of a goroutine."""
    return any(name == other and "ID" in arguments for other, arguments, _, _ in stacktide.commands())


class Contexts:
    """Selects goroutines, for the prompt or for one command."""

    def __init__(self, sessions: Sessions, selection: Selection, front: Any) -> None:
        self._sessions = sessions
        self._selection = selection
        self._front = front
        self._home: Optional[gdb.InferiorThread] = None

    # For the prompt.

    def leave(self) -> None:
        """`goroutine thread`."""
        current_inferior()
        self._selection.clear()
        if self._home is not None and self._home.is_valid():
            self._home.switch()
        self._home = None
        select_frame(0)
        gdb.write("[Switching to thread %d]\n" % gdb.selected_thread().num)
        gdb.execute("frame")

    def for_one(self, goroutine_id: int, command: str, from_tty: bool) -> None:
        """`goroutine ID`, or `goroutine ID CMD`."""
        if not command:
            self._select_for_prompt(goroutine_id)
            return
        self._sessions.current().goroutine(goroutine_id)  # so that a wrong id is the error, not a wrong command
        self._run_in(goroutine_id, command, lambda: gdb.execute(command, from_tty), from_tty)

    def for_all(self, command: str, from_tty: bool) -> None:
        """`goroutine all CMD`."""
        if not command:
            raise failure("goroutine all needs a command, as in: goroutine all bt")
        ids = [goroutine.id for goroutine in self._sessions.current().goroutines(locate=False)]
        self._for_each(ids, command, from_tty, quiet=False, silent=False)

    def apply(self, argument: str, from_tty: bool) -> None:
        """`goroutine apply ...`."""
        words = [str(int(gdb.parse_and_eval(word))) if word.startswith("$") else word for word in argument.split()]
        ids, quiet, silent, used = self._sessions.current().plan_apply(words)
        self._for_each(ids, argument.split(None, used)[used], from_tty, quiet, silent)

    def _select(self, goroutine_id: int) -> None:
        """Makes it the prompt's context, printing nothing. One that runs is looked at on its thread."""
        session = self._sessions.current()
        goroutine = session.goroutine(goroutine_id)
        if not goroutine.registers_live:
            self._selection.select(goroutine_id, goroutine.registers)
            return
        for thread in current_inferior().threads():
            if thread_id(thread) == goroutine.tid:
                self._selection.clear()
                thread.switch()
                return
        raise failure("goroutine %d runs on thread %d, which is not there" % (goroutine_id, goroutine.tid))

    def _select_for_prompt(self, goroutine_id: int) -> None:
        if self._selection.registers is None:
            self._home = gdb.selected_thread()
        self._select(goroutine_id)
        gdb.write("[Switching to %s]\n" % self._sessions.current().thread_name(goroutine_id))
        gdb.execute("frame")

    # For one command.

    def _for_each(self, ids: List[int], command: str, from_tty: bool, quiet: bool, silent: bool) -> None:
        epoch = self._selection.epoch
        for goroutine_id in ids:
            if self._selection.epoch != epoch:
                raise failure("the program ran on; the other goroutines are left out")
            header = "" if quiet else "\n%s:\n" % self._sessions.current().thread_name(goroutine_id)
            if not silent:
                gdb.write(header)
            try:
                if silent:
                    text = self._run_in(goroutine_id, command, lambda: gdb.execute(command, from_tty, True), from_tty, True)
                    gdb.write(header + text if text else "")
                else:
                    self._run_in(goroutine_id, command, lambda: gdb.execute(command, from_tty), from_tty)
            except (gdb.error, gdb.GdbError, stacktide.Error) as error:
                if not silent:
                    gdb.write(errors.describe(error) + "\n", gdb.STDERR)

    def _run_in(self, goroutine_id: int, command: str, execute: Callable[[], Optional[str]], from_tty: bool,
                to_string: bool = False) -> str:
        """What it printed, with to_string."""
        words = command.split(None, 1)
        if words[0] in table() and words[0] not in GDBS_OWN:
            if not is_about_one(words[0]):
                raise failure("goroutine %s is not about one goroutine: it takes no id before it" % words[0])
            core_words = [words[0], str(goroutine_id)] + gdb.string_to_argv(command)[1:]
            return self._front.text(core_words) if to_string else self._front.run(core_words, from_tty) or ""
        context = PromptContext().__enter__()
        state, epoch = self._selection.state(), self._selection.epoch
        try:
            self._select(goroutine_id)
            try:
                return execute() or ""
            except gdb.error as error:
                raise gdb.GdbError(str(error)) from None  # GDB's own words about its own command
        finally:
            if self._selection.epoch == epoch:  # else it ran on, and the stop it came to is the context now
                self._selection.restore(state)
                context.restore()

"""What the user types: `info goroutines` and `goroutine ...`.

Core's command table does the talking; here is only what a debugger adds: a goroutine as the prompt's context, GDB's own commands in
it, and the trace. `goroutine 7 stack` is core's `stack 7`, but `goroutine 7 bt` and `goroutine 7 list` are GDB's own, run in the goroutine's
context: there GDB has a command of that name, and that is what it does after `thread apply 7`.
"""

from __future__ import annotations

import os
import shutil
from typing import Callable, List, Optional, Sequence, Tuple

import gdb
import stacktide

from . import errors
from .errors import failure, guarded
from .host import PromptContext, select_frame, thread_id
from .selection import Selection
from .sessions import Sessions, current_inferior
from .trace import Traces

GDBS_OWN = frozenset(("bt", "list"))
HELP = """
In GDB also:
  goroutine                which goroutine the prompt looks at
  goroutine ID             select it: bt, up, info locals, print work in it
  goroutine thread         back to the thread
  goroutine ID CMD         one GDB command in its context: goroutine 7 info locals
  goroutine all CMD        the same for each goroutine
  goroutine trace on|off|show
                           one line per stack growth or shrink, as it happens; on takes --goroutine ID, --function REGEX,
                           --size-above N, --kind grow,shrink,segment, --stop (at each), --bt; show: a table, sizes over time
  info goroutines          goroutine list
"""


def current_thread_id() -> int:
    """The OS thread that the prompt looks at, 0 when none."""
    thread = gdb.selected_thread()
    return 0 if thread is None else thread_id(thread)


class Front:
    """Runs core's commands and prints what they say as GDB prints."""

    def __init__(self, sessions: Sessions, selection: Selection) -> None:
        self._sessions = sessions
        self._selection = selection

    def run(self, words: Sequence[str], from_tty: bool) -> None:
        """A command of core's table. Its failure is a GDB error, so that scripts stop."""
        terminal = from_tty and os.isatty(0) and os.isatty(1)
        out, err, code = self._sessions.current().run(
            list(words), host="gdb", colour=terminal and _colour(), terminal=terminal, width=_width(terminal),
            current_thread=current_thread_id(), current_goroutine=self._selection.id)
        self._print(out, err, code)

    def help(self, words: Sequence[str]) -> None:
        """Core's help, and for the whole list what GDB adds."""
        out, err, code = stacktide.help(list(words), host="gdb")
        self._print(out + (HELP if not words and code == 0 else ""), err, code)

    @staticmethod
    def _print(out: str, err: str, code: int) -> None:
        gdb.write(out)
        gdb.flush()  # so that what goes to stderr comes after it
        lines = err.splitlines()
        if code == 2 and not out and len(lines) == 1:
            raise failure(lines[0])
        for line in lines:
            gdb.write(errors.one_line(line) + "\n", gdb.STDERR)
        if code == 2:
            raise failure("not done")


def _colour() -> bool:
    return "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb" and bool(gdb.parameter("style enabled"))


def _width(terminal: bool) -> int:
    columns = gdb.parameter("width")
    if columns:
        return int(columns)
    return shutil.get_terminal_size().columns if terminal else 0


class InfoGoroutinesCommand(gdb.Command):
    """List the goroutines of the program: `goroutine list`.

Usage: info goroutines [OPTION]...
See "goroutine help list" for the options."""

    def __init__(self, sessions: Sessions, selection: Selection) -> None:
        super().__init__("info goroutines", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)
        self._front = Front(sessions, selection)

    @guarded
    def invoke(self, argument: str, from_tty: bool) -> None:
        self._front.run(["list"] + gdb.string_to_argv(argument), from_tty)


class GoroutineCommand(gdb.Command):
    """Look into the goroutines of the program (stacktide).

Usage: goroutine [ID]
       goroutine ID|all COMMAND
       goroutine thread
       goroutine list|stack|bt|sched|history|stackmap|prologue|whereis|audit|runtime|trace|help [ARGUMENT]...
Without an argument, say which goroutine is selected. With an ID, select that goroutine: backtrace, up, info locals and print then
work in its context, live and on cores. With a GDB command after it, run that in its context only.
See "goroutine help" for all of it."""

    def __init__(self, sessions: Sessions, selection: Selection, trace: Traces) -> None:
        super().__init__("goroutine", gdb.COMMAND_STACK)
        self._sessions = sessions
        self._selection = selection
        self._trace = trace
        self._front = Front(sessions, selection)
        self._home: Optional[gdb.InferiorThread] = None

    @guarded
    def invoke(self, argument: str, from_tty: bool) -> None:
        words = argument.split(None, 1)
        first = words[0] if words else ""
        rest = words[1] if len(words) > 1 else ""
        if not first:
            self._show_selected()
        elif first == "help":
            self._front.help(gdb.string_to_argv(rest))
        elif first == "trace":
            self._trace.run(rest, from_tty, _width(from_tty))
        elif first == "thread" and not rest:
            self._leave()
        elif first == "all":
            self._for_all(rest, from_tty)
        elif first.isdigit() or first.startswith("$"):
            self._for_one(_goroutine_id(first), rest, from_tty)
        elif first in _table():
            self._front.run([first] + gdb.string_to_argv(rest), from_tty)
        else:
            raise failure("no goroutine command \"%s\"; try: goroutine help" % first)

    def complete(self, text: str, word: Optional[str]) -> List[str]:
        """Core's completions, and GDB's own after an ID."""
        if word is None:  # GDB asks for word breaks only
            return []
        try:
            return _from_word(text, word, self._candidates(text))
        except BaseException:  # pylint: disable=broad-except
            return []  # completing must not print

    # Which goroutine the prompt looks at.

    def _show_selected(self) -> None:
        session = self._sessions.current()
        if self._selection.registers is not None and self._selection.shows():
            gdb.write("[Current goroutine is %s]\n" % _short(session.thread_name(self._selection.id)))
            return
        running = session.goroutine_of_thread(current_thread_id())
        if running is None:
            gdb.write("[No goroutine is selected; thread %d runs none]\n" % gdb.selected_thread().num)
        else:
            gdb.write("[Current goroutine is %s, which runs on thread %d]\n" %
                      (_short(session.thread_name(running.id)), gdb.selected_thread().num))

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

    def _leave(self) -> None:
        current_inferior()
        self._selection.clear()
        if self._home is not None and self._home.is_valid():
            self._home.switch()
        self._home = None
        select_frame(0)
        gdb.write("[Switching to thread %d]\n" % gdb.selected_thread().num)
        gdb.execute("frame")

    # A command in a goroutine's context.

    def _for_one(self, goroutine_id: int, command: str, from_tty: bool) -> None:
        if not command:
            self._select_for_prompt(goroutine_id)
            return
        self._sessions.current().goroutine(goroutine_id)  # so that a wrong id is the error, not a wrong command
        self._run_in(goroutine_id, command, from_tty)

    def _for_all(self, command: str, from_tty: bool) -> None:
        if not command:
            raise failure("goroutine all needs a command, as in: goroutine all bt")
        epoch = self._selection.epoch
        for goroutine in self._sessions.current().goroutines(locate=False):
            if self._selection.epoch != epoch:
                raise failure("the program ran on; the other goroutines are left out")
            gdb.write("\n%s:\n" % self._sessions.current().thread_name(goroutine.id))
            try:
                self._run_in(goroutine.id, command, from_tty)
            except (gdb.error, gdb.GdbError, stacktide.Error) as error:
                gdb.write(errors.describe(error) + "\n", gdb.STDERR)

    def _run_in(self, goroutine_id: int, command: str, from_tty: bool) -> None:
        words = command.split(None, 1)
        if words[0] in _table() and words[0] not in GDBS_OWN:
            if not _is_about_one(words[0]):
                raise failure("goroutine %s is not about one goroutine: it takes no id before it" % words[0])
            self._front.run([words[0], str(goroutine_id)] + gdb.string_to_argv(command)[1:], from_tty)
            return
        context = PromptContext().__enter__()
        state, epoch = self._selection.state(), self._selection.epoch
        try:
            self._select(goroutine_id)
            try:
                gdb.execute(command, from_tty)
            except gdb.error as error:
                raise gdb.GdbError(str(error)) from None  # GDB's own words about its own command
        finally:
            if self._selection.epoch == epoch:  # else it ran on, and the stop it came to is the context now
                self._selection.restore(state)
                context.restore()

    # The rest.

    def _candidates(self, text: str) -> List[str]:
        """Ways to go on for the last word of `text`."""
        words = text.split()
        partial = "" if not words or text[-1:].isspace() else words.pop()
        if words and (words[0].isdigit() or words[0] == "all"):
            rest = text.split(None, 1)[1] if len(text.split(None, 1)) > 1 else ""
            found = gdb.execute("complete " + rest, to_string=True).splitlines()
            own = [name for name in _table() if len(words) == 1 and (_is_about_one(name) or name in GDBS_OWN)]
            return own + [line.split()[-1] for line in found if line.strip()]
        if words and words[0] == "trace":
            return ["on", "off", "show"]
        if words and words[0] == "help":
            return list(_table())
        try:
            candidates = self._sessions.current().complete(words, partial)
        except (gdb.GdbError, stacktide.Error):
            candidates = stacktide.complete(words, partial)
        return candidates + ([] if words else ["all", "help", "thread", "trace"])


def _goroutine_id(word: str) -> int:
    """An id, or a convenience variable that holds one."""
    value = int(word) if word.isdigit() else int(gdb.parse_and_eval(word))
    if not 0 <= value < 1 << 64:
        raise failure("%s is no goroutine id" % word)
    return value


def _short(name: str) -> str:
    """"7 [chan receive] entry" of "goroutine 7 [chan receive] entry"."""
    return name[len("goroutine "):] if name.startswith("goroutine ") else name


def _is_about_one(name: str) -> bool:
    """Whether core's command takes the id of a goroutine."""
    return any(name == other and "ID" in arguments for other, arguments, _, _ in stacktide.commands())


def _table() -> List[str]:
    return [name for name, _, _, _ in stacktide.commands()]


def _from_word(text: str, word: str, candidates: List[str]) -> List[str]:
    """GDB replaces only what follows its last word break, which may lie inside an option: "--js" is "--" and "js"."""
    partial = "" if not text or text[-1:].isspace() else text.split()[-1]
    skip = len(partial) - len(word) if partial.endswith(word) else 0
    return sorted({candidate[skip:] for candidate in candidates if candidate.startswith(partial)})


def keep_registered(make: Callable[[], Tuple[gdb.Command, ...]]) -> None:
    """Registers the commands, and again when a program's own script (Go's runtime-gdb.py) has taken the names: ours know both."""

    def check(_event: object = None) -> None:
        try:
            ours = "(stacktide)" in gdb.execute("help goroutine", to_string=True)
        except gdb.error:
            ours = False
        if not ours:
            make()

    check()
    for name in ("new_objfile", "stop", "before_prompt"):
        getattr(gdb.events, name).connect(check)

"""What the user types: `info goroutines` and `goroutine ...`.

Core's command table does the talking; here is only what a debugger adds: a goroutine as the prompt's context, GDB's own commands in
it, and the trace. `goroutine 7 stack` is core's `stack 7`, but `goroutine 7 bt` and `goroutine 7 list` are GDB's own, run in the goroutine's
context: there GDB has a command of that name, and that is what it does after `thread apply 7`.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Callable, List, Optional, Sequence, Tuple

import gdb
import stacktide

from . import errors
from .apply import GDBS_OWN, Contexts, is_about_one, table
from .errors import failure, guarded
from .host import thread_id
from .selection import Selection
from .sessions import Sessions
from .step import Stepper
from .trace import Traces

# Completed beside core's.
OWN_WORDS = ["apply", "finish", "next", "trace"]
HELP = """
In GDB also:
  goroutine                which goroutine the prompt looks at
  goroutine ID             select it: bt, up, info locals, print work in it
  goroutine thread         back to the thread
  goroutine ID CMD         one GDB command in its context: goroutine 7 info locals
  goroutine all CMD        the same for each goroutine
  $_goroutine(), $_goroutine_count()
                           in expressions and conditions: break f if $_goroutine() == 7
  goroutine trace on|off|show|check
                           one line per stack growth or shrink, as it happens; on takes --goroutine ID, --function REGEX,
                           --size-above N, --kind grow,shrink,segment, --stop (at each), --bt, --quiet; show: a table, sizes over
                           time; check --rules FILE: what was seen against rules, an error when some fail, so that
                           gdb -batch ends with status 1
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
        self._print(*self._result(words, from_tty and os.isatty(0) and os.isatty(1)))

    def text(self, words: Sequence[str]) -> str:
        """What it prints; "" when it fails."""
        out, _, code = self._result(words, False)
        return "" if code == 2 else out

    def _result(self, words: Sequence[str], terminal: bool) -> Tuple[str, str, int]:
        return self._sessions.current().run(  # type: ignore[no-any-return]
            list(words), host="gdb", colour=terminal and _colour(), terminal=terminal, width=_width(terminal),
            current_thread=current_thread_id(), current_goroutine=self._selection.id)

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
       goroutine apply ID...|all [-q] [-s] COMMAND
       goroutine next [N]|finish|thread
       goroutine list|stack|bt|sched|history|stackmap|prologue|whereis|audit|runtime|trace|help [ARGUMENT]...
Without an argument, say which goroutine is selected. With an ID, select that goroutine: backtrace, up, info locals and print then
work in its context, live and on cores. With a GDB command after it, run that in its context only.
See "goroutine help" for all of it."""

    def __init__(self, sessions: Sessions, selection: Selection, trace: Traces, stepper: Stepper) -> None:
        super().__init__("goroutine", gdb.COMMAND_STACK)
        self._sessions = sessions
        self._selection = selection
        self._trace = trace
        self._stepper = stepper
        self._front = Front(sessions, selection)
        self._contexts = Contexts(sessions, selection, self._front)

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
            self._contexts.leave()
        elif first == "all":
            self._contexts.for_all(rest, from_tty)
        elif first == "apply":
            self._contexts.apply(rest, from_tty)
        elif first == "next":
            self._stepper.next(rest)
        elif first == "finish":
            self._stepper.finish(rest)
        elif first.isdigit() or first.startswith("$"):
            self._contexts.for_one(_goroutine_id(first), rest, from_tty)
        elif first in table():
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

    # The rest.

    def _candidates(self, text: str) -> List[str]:
        """Ways to go on for the last word of `text`."""
        words = text.split()
        partial = "" if not words or text[-1:].isspace() else words.pop()
        if words and (words[0].isdigit() or words[0] == "all"):
            return self._command_on_one(text, words, 1)
        if words and words[0] == "trace" and len(words) == 1 and not partial.startswith("-"):
            return ["on", "off", "show", "check"]
        if words[:2] == ["trace", "on"] and partial.startswith("-"):
            return re.findall("--[a-z-]+", stacktide.trace_usage().partition("trace off")[0])
        if words and words[0] == "help":
            return table() + OWN_WORDS
        try:
            candidates = self._sessions.current().complete(words, partial)
        except (gdb.GdbError, stacktide.Error):
            candidates = stacktide.complete(words, partial)
        before = _words_before_command(words)
        if before and not partial.startswith("-"):
            candidates += self._command_on_one(text, words, before)
        return candidates + ([] if words else ["all", "help", "thread"] + OWN_WORDS)

    def _command_on_one(self, text: str, words: List[str], before: int) -> List[str]:
        """GDB's completions of the command that follows `before` words, and core's words that may stand there."""
        parts = text.split(None, before)
        rest = parts[before] if len(parts) > before else ""
        found = gdb.execute("complete " + rest, to_string=True).splitlines() if rest else []
        own = [name for name in table() if len(words) == before and (is_about_one(name) or name in GDBS_OWN)]
        return own + [line.split()[-1] for line in found if line.strip()]


def _words_before_command(words: List[str]) -> int:
    """Of `apply ID... [-q] [-s]`, when a command may follow; else 0."""
    if len(words) < 2 or words[0] != "apply":
        return 0
    ids = 1
    while ids < len(words) and (words[ids][0].isdigit() or words[ids][0] in "-$" or (ids == 1 and words[ids] == "all")):
        ids += 1
    return ids if ids > 1 else 0


def _goroutine_id(word: str) -> int:
    """An id, or a convenience variable that holds one."""
    value = int(word) if word.isdigit() else int(gdb.parse_and_eval(word))
    if not 0 <= value < 1 << 64:
        raise failure("%s is no goroutine id" % word)
    return value


def _short(name: str) -> str:
    """"7 [chan receive] entry" of "goroutine 7 [chan receive] entry"."""
    return name[len("goroutine "):] if name.startswith("goroutine ") else name


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

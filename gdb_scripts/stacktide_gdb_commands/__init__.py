"""GDB commands over the module `stacktide`, which does all reading and formatting.

One module per concept: elf and modules (which files are mapped), host (GDB as core's target), sessions (one per stop),
selection (a goroutine as the prompt's context), apply (commands in such a context), step (next and finish while stacks move), moves (warns when a stack moved during a step of GDB's own), current (which
goroutine runs now, asked cheaply), functions ($_goroutine()), trace (stack events as they happen), calls (warns of calls on small stacks), commands (what the user types),
printers (handles as values), errors (one line each). All state hangs on the objects that install() makes and is dropped with the target.
"""

from __future__ import annotations

import gdb

from . import printers
from .calls import CallWarning
from .commands import GoroutineCommand, InfoGoroutinesCommand, keep_registered
from .current import Current
from .functions import GoroutineCountFunction, GoroutineFunction
from .moves import MoveWarning
from .selection import FILTER_NAME, Selection
from .sessions import Sessions
from .step import Stepper
from .trace import Traces


def install() -> None:
    """Registers everything; sourcing the script again changes nothing."""
    if FILTER_NAME in gdb.frame_filters:
        return
    sessions = Sessions()
    selection = Selection()
    trace = Traces()
    selection.register()
    sessions.register()
    CallWarning(sessions).register()
    printers.register(sessions)
    current = Current()
    stepper = Stepper(sessions, selection, current)
    MoveWarning(current).register()
    GoroutineFunction(current, selection)
    GoroutineCountFunction(current)
    keep_registered(lambda: (GoroutineCommand(sessions, selection, trace, stepper), InfoGoroutinesCommand(sessions, selection)))

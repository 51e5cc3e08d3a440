"""Which goroutine runs on a thread now, asked while the program runs: by breakpoint conditions, steps, functions.

The session behind it lives as long as the modules do. Core keeps nothing of goroutines in it, so an answer costs a few small
reads, however many goroutines there are.
"""

from __future__ import annotations

from typing import Dict, Optional

import gdb
import stacktide

from .host import REGISTERS, thread_id
from .sessions import FILES_CHANGED, Sessions

Registers = Dict[str, int]


def thread_registers() -> Registers:
    """The general registers of the prompt's thread, whatever goroutine is selected."""
    frame = gdb.newest_frame()
    return {name: int(frame.read_register(name)) & ((1 << 64) - 1) for name in REGISTERS}


class Current:
    def __init__(self) -> None:
        self._sessions = Sessions(FILES_CHANGED)
        self._sessions.register()

    def session(self) -> stacktide.Session:
        """Of the selected inferior. For what does not change while the modules stay."""
        return self._sessions.current()

    def goroutine(self) -> Optional[stacktide.Goroutine]:
        """That runs on the prompt's thread now; without registers."""
        thread = gdb.selected_thread()
        return None if thread is None else self.session().running_on(thread_id(thread))

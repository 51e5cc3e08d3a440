"""One core Session per inferior and stop.

A Session stands for a target that does not move, so it is dropped with anything that may have changed what it read: resuming, exit, new
files, a write by the user, a call into the program.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import gdb
import stacktide

from .errors import failure
from .host import GdbTarget

Key = Tuple[int, int, Optional[int]]  # inferior, process, connection


def current_inferior() -> gdb.Inferior:
    """The selected inferior, if it has a process or a core."""
    inferior = gdb.selected_inferior()
    if inferior.pid == 0 or not inferior.threads():
        raise failure("there is no process: start the program, attach to one, or load a core")
    return inferior


FILES_CHANGED = ("exited", "new_objfile", "clear_objfiles", "inferior_deleted")
ANYTHING_CHANGED = FILES_CHANGED + ("cont", "stop", "memory_changed", "register_changed", "inferior_call")


class Sessions:
    """Sessions by inferior, each dropped when one of `events` says that what it knows may be outdated."""

    def __init__(self, events: Sequence[str] = ANYTHING_CHANGED) -> None:
        self._events = events
        self._sessions: Dict[Key, stacktide.Session] = {}

    def register(self) -> None:
        """Hooks what ends a session."""
        for event in self._events:
            registry = getattr(gdb.events, event, None)  # older GDBs have fewer
            if registry is not None:
                registry.connect(self.drop)

    def current(self) -> stacktide.Session:
        """The selected inferior's session, made on first use."""
        inferior = current_inferior()
        key = (inferior.num, inferior.pid, inferior.connection_num)
        session = self._sessions.get(key)
        if session is None:
            session = stacktide.Session(GdbTarget(inferior))
            self._sessions[key] = session
        return session

    def drop(self, _event: Any = None) -> None:
        """Forgets all; the next command reads afresh."""
        self._sessions.clear()

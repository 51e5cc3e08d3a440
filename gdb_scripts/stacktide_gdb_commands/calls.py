"""Warns when GDB is about to call a function on a goroutine's stack, as for `print f(7)`.

GDB pushes the call onto the stack of the thread where it stands. A goroutine's may have a kilobyte left, and libraries do not ask for more: the call
may overrun it and end the program. What is called cannot be told from here, so the room is what decides. GDB has no way to refuse a call.
"""

from __future__ import annotations

from typing import Any

import gdb

from .errors import PREFIX
from .sessions import Sessions

# Bytes: about what printf and its like take at most.
ENOUGH = 64 << 10


class CallWarning:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def register(self) -> None:
        gdb.events.inferior_call.connect(self._called)

    def _called(self, event: Any) -> None:
        if not isinstance(event, gdb.InferiorCallPreEvent):
            return
        try:
            text = self._warning(int(event.ptid[1]))
        except Exception:  # it is the user's call; what we cannot read is no reason to disturb it
            return
        if text:
            gdb.write(PREFIX + text + "\n", gdb.STDERR)

    def _warning(self, tid: int) -> str:
        goroutine = self._sessions.current().goroutine_of_thread(tid)
        if goroutine is None:
            return ""
        sp = int(gdb.newest_frame().read_register("rsp")) & ((1 << 64) - 1)
        room = sp - goroutine.stack.lo
        if not goroutine.stack.lo <= sp <= goroutine.stack.hi or room >= ENOUGH:
            return ""
        return "warning: this call runs on the stack of goroutine %d, which has %d bytes left: run the program with STACKTIDE_MINSTACK=1M" % (
            goroutine.id, room)

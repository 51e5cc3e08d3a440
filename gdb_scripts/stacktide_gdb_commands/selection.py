"""A parked goroutine as the prompt's context, without writing a register.

While a goroutine is selected, an unwinder says of frame 0 of the prompt's thread that its caller is the goroutine: the registers saved in
frame 0 are the goroutine's. Frame 1 is then where the goroutine parked, and bt, up, info locals and print work there,
live and on cores. A frame filter hides frame 0 from bt.

Invariants. The selection belongs to one thread; other threads unwind as ever. It ends when anything resumes, except for a call that the user
makes from the prompt, which returns to the same place.
Rejected: writing $sp and $pc and restoring them later (impossible on cores, and fatal when GDB dies in between).
"""

from __future__ import annotations

import itertools
from typing import Any, Iterator, Optional, Tuple

import gdb
from gdb.FrameDecorator import FrameDecorator
from gdb.unwinder import Unwinder, register_unwinder

from .errors import failure
from .host import select_frame

FILTER_NAME = "stacktide"
# The frame id's stack address must lie below the goroutine's sp, else GDB takes frame 1 for an inner frame and stops.
BELOW = 16


class _FrameId:
    """What create_unwind_info takes as the identity of frame 0."""

    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp = sp
        self.pc = pc


class _GoroutineUnwinder(Unwinder):
    def __init__(self, selection: "Selection") -> None:
        super().__init__(FILTER_NAME)
        self._selection = selection

    def __call__(self, pending: gdb.PendingFrame) -> Optional[gdb.UnwindInfo]:
        registers = self._selection.registers
        if registers is None or pending.level() != 0 or not self._selection.shows():
            return None
        # By architecture and not by name: a program need not know of "unsigned long".
        word = pending.architecture().integer_type(64, False)
        frame_id = _FrameId(gdb.Value(registers["rsp"] - BELOW).cast(word), pending.read_register("rip"))
        info = pending.create_unwind_info(frame_id)
        for name, value in registers.items():
            info.add_saved_register(name, gdb.Value(value).cast(word))
        return info


class _PlainDecorator(FrameDecorator):
    """Names functions as bt does without filters: `level`, not `level(int)`."""

    def function(self) -> Any:
        return self.inferior_frame().name() or "??"


class _HideThreadFrame:
    """Drops frame 0. Enabled only while a goroutine is selected, so that bt is GDB's own at all other times."""

    def __init__(self, selection: "Selection") -> None:
        self.name = FILTER_NAME
        self.priority = 100
        self.enabled = False
        self._selection = selection

    def filter(self, frames: Iterator[FrameDecorator]) -> Iterator[FrameDecorator]:
        if not self._selection.shows():
            return frames
        shown = itertools.dropwhile(lambda frame: frame.inferior_frame().level() == 0, frames)
        return map(_PlainDecorator, shown)


class Selection:
    """Which parked goroutine the prompt looks at, if any."""

    def __init__(self) -> None:
        self.id = 0
        self.registers: Optional["dict[str, int]"] = None
        self._thread: Optional[Tuple[int, int, int]] = None
        self._filter = _HideThreadFrame(self)
        self._calling = False
        # Counts resumptions: who selects for a while must not put back what a resumption ended.
        self.epoch = 0

    def register(self) -> None:
        """Tells GDB of the unwinder, the filter, and hooks what ends a selection."""
        register_unwinder(None, _GoroutineUnwinder(self), replace=True)
        gdb.frame_filters[FILTER_NAME] = self._filter
        gdb.events.cont.connect(self._resumed)
        gdb.events.exited.connect(self._ended)
        gdb.events.clear_objfiles.connect(self._ended)
        gdb.events.inferior_call.connect(self._called)

    def shows(self) -> bool:
        """Whether what GDB looks at is the thread that the selection belongs to, not in the middle of a call."""
        if self._calling:
            return False
        thread = gdb.selected_thread()
        return self._thread is not None and thread is not None and thread.ptid == self._thread

    def select(self, goroutine_id: int, registers: "dict[str, int]") -> None:
        """Makes the goroutine's innermost frame, frame 1, the prompt's. registers: saved ones by name, with rip and rsp."""
        if "rip" not in registers or "rsp" not in registers:
            raise failure("goroutine %d has no saved context to look at" % goroutine_id)
        if registers["rsp"] < BELOW:
            raise failure("goroutine %d has no usable stack pointer" % goroutine_id)
        thread = gdb.selected_thread()
        if thread is None:
            raise failure("no thread is selected")
        self._set(goroutine_id, dict(registers), thread.ptid)
        try:
            reason = "" if select_frame(1) else ": GDB finds no frame at its saved context"
        except gdb.error as error:
            reason = ": %s" % error
        if reason:
            self.clear()
            raise failure("goroutine %d cannot be unwound%s" % (goroutine_id, reason))

    def clear(self) -> None:
        """Back to the thread as it is."""
        if self.registers is not None:
            self._set(0, None, None)

    def state(self) -> Any:
        """For restore()."""
        return self.id, self.registers, self._thread

    def restore(self, state: Any) -> None:
        """What state() gave."""
        if state != self.state():
            self._set(*state)

    def _set(self, goroutine_id: int, registers: Optional["dict[str, int]"], thread: Optional[Tuple[int, int, int]]) -> None:
        self.id = goroutine_id
        self.registers = registers
        self._thread = thread
        self._filter.enabled = registers is not None
        gdb.invalidate_cached_frames()

    def _resumed(self, _event: Any) -> None:
        if not self._calling:
            self.epoch += 1
            self.clear()

    def _ended(self, _event: Any) -> None:
        self.epoch += 1
        self.clear()

    def _called(self, event: Any) -> None:
        """A call from the prompt resumes the thread but comes back to the same frame."""
        self._calling = isinstance(event, gdb.InferiorCallPreEvent)
        if not self._calling and self.registers is not None:
            gdb.invalidate_cached_frames()

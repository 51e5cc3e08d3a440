"""A parked goroutine as the prompt's context, without writing a register.

While a goroutine is selected, an unwinder says of the innermost frame of the prompt's thread that its caller is the goroutine: the registers
saved in it are the goroutine's. Frame 1 is then where the goroutine parked, and bt, up, info locals and print work there, live and on cores.
(It is frame 2 where the thread stands in an inlined function, whose frame is GDB's own.) A frame filter hides the thread's frame from bt.

Invariants. The selection belongs to one thread; other threads unwind as ever. It ends when anything resumes, except for a call that the user
makes from the prompt, which returns to the same place.
Rejected: writing $sp and $pc and restoring them later (impossible on cores, and fatal when GDB dies in between).
"""

from __future__ import annotations

import itertools
from typing import Any, Iterator, NamedTuple, Optional, Tuple

import gdb
from gdb.FrameDecorator import FrameDecorator
from gdb.unwinder import Unwinder, register_unwinder

from .errors import failure
from .host import select_frame

FILTER_NAME = "stacktide"
# Further out than this no frame is asked whether it is the thread's innermost: so deep are inlined functions not nested.
MAX_INLINED = 64
# The frame id's stack address must lie below the goroutine's sp, else GDB takes frame 1 for an inner frame and stops.
BELOW = 16


class _FrameId:
    """What create_unwind_info takes as the identity of the thread's frame."""

    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp = sp
        self.pc = pc


class Thread(NamedTuple):
    """The thread that lends its innermost frame, and where it stands."""

    connection: Optional[int]
    ptid: Tuple[int, int, int]
    rip: int
    rsp: int


def _registers_of(frame: Any) -> Tuple[int, int]:
    return tuple(int(frame.read_register(name)) & ((1 << 64) - 1) for name in ("rip", "rsp"))  # type: ignore[return-value]


def _select_caller() -> bool:
    """Selects the caller of the thread's innermost function, silently; false when it has none."""
    level = 1
    frame = gdb.newest_frame()
    while frame is not None and frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
        level += 1
    return frame is not None and select_frame(level)


class _GoroutineUnwinder(Unwinder):
    def __init__(self, selection: "Selection") -> None:
        super().__init__(FILTER_NAME)
        self._selection = selection

    def __call__(self, pending: gdb.PendingFrame) -> Optional[gdb.UnwindInfo]:
        registers = self._selection.registers
        if registers is None or not self._selection.starts_at(pending):
            return None
        # By architecture and not by name: a program need not know of "unsigned long".
        word = pending.architecture().integer_type(64, False)
        self._selection.hidden = pending.level()
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
    """Drops the thread's own frame. Enabled only while a goroutine is selected, so that bt is GDB's own at all other times."""

    def __init__(self, selection: "Selection") -> None:
        self.name = FILTER_NAME
        self.priority = 100
        self.enabled = False
        self._selection = selection

    def filter(self, frames: Iterator[FrameDecorator]) -> Iterator[FrameDecorator]:
        if not self._selection.shows():
            return frames
        hidden = self._selection.hidden
        shown = itertools.dropwhile(lambda frame: frame.inferior_frame().level() <= hidden, frames)
        return map(_PlainDecorator, shown)


class Selection:
    """Which parked goroutine the prompt looks at, if any."""

    def __init__(self) -> None:
        self.id = 0
        self.registers: Optional["dict[str, int]"] = None
        self.hidden = 0  # level of the thread's own frame
        self._thread: Optional[Thread] = None
        self._filter = _HideThreadFrame(self)
        self._calling = False
        # Counts resumptions: who selects for a while must not put back what a resumption ended.
        self.epoch = 0

    def register(self) -> None:
        """Tells GDB of the unwinder, the filter, and hooks what ends a selection."""
        register_unwinder(None, _GoroutineUnwinder(self), replace=True)
        gdb.frame_filters[FILTER_NAME] = self._filter
        gdb.events.cont.connect(self._resumed)
        gdb.events.stop.connect(self._resumed)  # also an attach to a process that was looked at before
        gdb.events.exited.connect(self._ended)
        gdb.events.clear_objfiles.connect(self._ended)
        gdb.events.register_changed.connect(lambda _event: self.clear())
        gdb.events.inferior_call.connect(self._called)

    def shows(self) -> bool:
        """Whether what GDB looks at is the thread that the selection belongs to, not in the middle of a call."""
        if self._calling:
            return False
        thread = gdb.selected_thread()
        if self._thread is None or thread is None:
            return False
        return (gdb.selected_inferior().connection_num, thread.ptid) == (self._thread.connection, self._thread.ptid)

    def starts_at(self, pending: gdb.PendingFrame) -> bool:
        """Whether this is the innermost machine frame of the thread. Not simply level 0: that one may be an inlined function's."""
        if self._thread is None or pending.level() > MAX_INLINED or not self.shows():
            return False
        return _registers_of(pending) == (self._thread.rip, self._thread.rsp)

    def select(self, goroutine_id: int, registers: "dict[str, int]") -> None:
        """Makes the goroutine's innermost frame the prompt's. registers: saved ones by name, with rip and rsp."""
        if "rip" not in registers or "rsp" not in registers:
            raise failure("goroutine %d has no saved context to look at" % goroutine_id)
        if registers["rsp"] < BELOW:
            raise failure("goroutine %d has no usable stack pointer" % goroutine_id)
        thread = gdb.selected_thread()
        if thread is None:
            raise failure("no thread is selected")
        self.clear()
        self._set(goroutine_id, dict(registers), Thread(gdb.selected_inferior().connection_num, thread.ptid,
                                                        *_registers_of(gdb.newest_frame())))
        try:
            reason = "" if _select_caller() else ": GDB finds no frame at its saved context"
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

    def _set(self, goroutine_id: int, registers: Optional["dict[str, int]"], thread: Optional[Thread]) -> None:
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

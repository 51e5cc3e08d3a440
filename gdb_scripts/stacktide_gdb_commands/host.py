"""GDB as a target of core: memory, modules and threads through GDB only, so that cores and remote targets work."""

from __future__ import annotations

import re
import time
from typing import Dict, List, Optional

import gdb
import stacktide

from .modules import ModuleFinder, native_pid

PAGE = 4096
REGISTERS = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip")


def thread_id(thread: gdb.InferiorThread) -> int:
    """The OS thread id; some remote targets put it in the last part of the ptid."""
    _, lwp, tid = thread.ptid
    return lwp or tid


def select_frame(level: int) -> bool:
    """Selects a frame of the current thread if it has so many; prints nothing (`frame N` prints even when told not to)."""
    frame = gdb.newest_frame()
    for _ in range(level):
        frame = frame.older()
        if frame is None:
            return False
    frame.select()
    return True


class PromptContext:
    """Puts the prompt's thread and frame back: `with PromptContext(): ...`.

    The frame is kept by level. A gdb.Frame would not do: switching threads or goroutines rebuilds all frames.
    """

    def __enter__(self) -> "PromptContext":
        self.thread = gdb.selected_thread()
        try:
            self.level = gdb.selected_frame().level()
        except gdb.error:
            self.level = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def restore(self) -> None:
        """Also callable by hand, for those who must decide first whether there is still something to go back to."""
        try:
            if self.thread is None or not self.thread.is_valid():
                return
            selected = gdb.selected_thread()
            if selected is None or selected.ptid != self.thread.ptid:
                self.thread.switch()
            if gdb.selected_frame().level() != self.level:
                select_frame(self.level)
        except gdb.error:
            pass  # the thread runs or is gone: GDB's own choice of context stands


class GdbTarget:
    """What stacktide.Session asks a host for; see core/python/host_target.h."""

    kind = "host"

    def __init__(self, inferior: gdb.Inferior) -> None:
        self._inferior = inferior
        self.pid: int = inferior.pid
        self.core_file = _core_file(inferior)
        self.local_pid = native_pid()
        self.description = self._describe()

    def read_memory(self, address: int, size: int) -> bytes:
        """As many bytes as are there from `address` on. GDB reads all or nothing, so a failed read is halved, at pages first."""
        try:
            return self._inferior.read_memory(address, size)
        except gdb.MemoryError:
            if size <= 1:
                return b""
        except (OverflowError, ValueError, gdb.error):
            return b""
        half = size // 2
        if address // PAGE != (address + size - 1) // PAGE:
            half = max((address + half) // PAGE * PAGE - address, PAGE - address % PAGE)
        first = bytes(self.read_memory(address, half))
        if len(first) < half:
            return first
        return first + bytes(self.read_memory(address + half, size - half))

    def _describe(self) -> str:
        """"process 4242 (/path/park)", "core park.core (/path/park)"."""
        program = self._inferior.progspace.filename or "no executable"
        connection = self._inferior.connection
        if connection is not None and connection.type == "core":
            return "core %s (%s)" % (self.core_file or "file", program)
        return "process %d (%s)" % (self.pid, program)

    def modules(self) -> List[stacktide.Module]:
        """The main program first."""
        return ModuleFinder(self.read_memory).find()

    def now(self) -> Optional[int]:
        """The target's monotonic clock, which is this machine's where GDB holds the process itself."""
        connection = self._inferior.connection
        if connection is None or connection.type != "native":
            return None
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def threads(self) -> List[stacktide.Thread]:
        """All threads with their registers; one that runs (non-stop mode) has none."""
        with PromptContext():
            _fetch_registers_quietly(self._inferior)
            return [self._thread(thread) for thread in self._inferior.threads()]

    def _thread(self, thread: gdb.InferiorThread) -> stacktide.Thread:
        registers: Dict[str, int] = {}
        if not thread.is_running():
            try:
                selected = gdb.selected_thread()
                if selected is None or selected.ptid != thread.ptid:
                    thread.switch()
                # Frame 0 has the thread's own registers, whatever goroutine is selected.
                frame = gdb.newest_frame()
                for name in REGISTERS:
                    registers[name] = int(frame.read_register(name)) & ((1 << 64) - 1)
            except (gdb.error, ValueError):
                pass  # a register that is not saved in a core
        return stacktide.Thread(tid=thread_id(thread), name=thread.name or "", registers=registers)


def _fetch_registers_quietly(inferior: gdb.Inferior) -> None:
    """GDB 13 warns of each thread of a newer kernel's core, when it first reads its registers, that its vector registers have an unknown
    size; the general ones, all that is wanted here, are right."""
    connection = inferior.connection
    if connection is not None and connection.type == "core":
        try:
            gdb.execute("thread apply all -q -s output $sp", to_string=True)
        except gdb.error:
            pass


def _core_file(inferior: gdb.Inferior) -> str:
    """The path of the inferior's core; "" when it has none, or GDB does not tell."""
    connection = inferior.connection
    if connection is None or connection.type != "core":
        return ""
    found = re.search(r"^\s*`(.*)', file type", gdb.execute("info target", to_string=True), re.MULTILINE)
    return found.group(1) if found else ""

"""Which ELF files are mapped where, found in the target's memory.

The auxiliary vector gives the main program's headers; its dynamic section leads to the dynamic linker's list (r_debug, link_map), as
GDB itself walks it. So it is the same for live processes, cores (also those whose files are gone) and gdbserver.
Rejected: parsing `info files` or `info sharedlibrary` (only what GDB has symbols for, and text for people), `info proc mappings` (absent
on many remotes).

A file on this machine is used only if its build id is the one in memory.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import gdb
import stacktide

from . import elf

AT_PHDR, AT_PHENT, AT_PHNUM, AT_EXECFN, AT_SYSINFO_EHDR = 3, 4, 5, 31, 33
DT_NULL, DT_DEBUG = 0, 21
MAX_DYNAMIC = 1024  # entries
MAX_MODULES = 4096
MAX_PATH = 4096

Read = Callable[[int, int], bytes]


def auxiliary_vector() -> Dict[int, int]:
    """Type to value; empty where the target has none."""
    try:
        text = gdb.execute("info auxv", to_string=True)
    except gdb.error:
        return {}
    entries = re.findall(r'^(\d+)\s.*?\s(0x[0-9a-f]+|\d+)(?: ".*")?$', text, re.MULTILINE)
    return {int(kind): int(value, 0) for kind, value in entries}


def read_string(read: Read, address: int) -> str:
    """A path in the target's memory, at most MAX_PATH bytes; "" when absent."""
    data = b""
    while len(data) < MAX_PATH:
        # Up to the next 256-byte line: a string may end right before an absent page.
        part = bytes(read(address + len(data), 256 - (address + len(data)) % 256))
        end = part.find(b"\0")
        if end >= 0:
            return os.fsdecode(data + part[:end])
        if not part:
            break
        data += part
    return os.fsdecode(data)


class ModuleFinder:
    """Finds the modules of the current inferior through `read`, which may be short."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._native_pid = native_pid()
        self._objfiles = _objfile_paths()

    def find(self) -> List[stacktide.Module]:
        """The main program first; empty when not even that was found."""
        auxv = auxiliary_vector()
        main = self._main_program(auxv)
        if main is None:
            return []
        segments, bias = main
        modules = [self._module(self._main_path(auxv), segments, bias, ["/proc/%d/exe" % self._native_pid])]
        seen = {bias}
        for path, other_bias in self._libraries(segments, bias):
            if other_bias in seen or len(modules) >= MAX_MODULES:
                continue
            seen.add(other_bias)
            found = self._segments_in_memory(other_bias) or _segments_of_file(path)
            if found is not None and other_bias == auxv.get(AT_SYSINFO_EHDR):
                start, end = elf.extent(found)
                modules.append(stacktide.Module(path="[vdso]", load_bias=other_bias, start=other_bias + start, end=other_bias + end,
                                                problem="the kernel's own, which has no file"))
            elif found is not None:
                modules.append(self._module(path, found, other_bias, ["/proc/%d/root%s" % (self._native_pid, path)]))
        return modules

    def _main_program(self, auxv: Dict[int, int]) -> Optional[Tuple[List[elf.Segment], int]]:
        table = auxv.get(AT_PHDR, 0)
        segments = elf.segments_at(self._read, table, auxv.get(AT_PHNUM, 0), auxv.get(AT_PHENT, 0))
        if segments is None:
            return None
        for segment in segments:
            if segment.type == elf.PT_PHDR:
                return segments, table - segment.address
        # A static program without PT_PHDR: the file's start is mapped right before its headers.
        for segment in segments:
            if segment.type == elf.PT_LOAD and segment.offset == 0:
                return segments, table - elf.HEADER_SIZE - segment.address
        return None

    def _main_path(self, auxv: Dict[int, int]) -> str:
        path = gdb.current_progspace().filename
        if path:
            return _without_sysroot(path)
        return read_string(self._read, auxv[AT_EXECFN]) if AT_EXECFN in auxv else ""

    def _libraries(self, segments: List[elf.Segment], bias: int) -> Iterator[Tuple[str, int]]:
        """Path and load bias of each entry of the dynamic linker's list but the first, which is the main program."""
        debug = self._dynamic_value(segments, bias, DT_DEBUG)
        if not debug:
            return  # static, or the dynamic linker has not run yet
        seen = set()
        link = self._word(debug + 8)
        first = True
        while link and link not in seen and len(seen) < MAX_MODULES:
            seen.add(link)
            entry = bytes(self._read(link, 32))
            if len(entry) != 32:
                return
            other_bias, name, _, following = struct.unpack("<QQQQ", entry)
            if not first:
                yield read_string(self._read, name), other_bias
            first = False
            link = following

    def _dynamic_value(self, segments: List[elf.Segment], bias: int, wanted: int) -> int:
        for segment in segments:
            if segment.type != elf.PT_DYNAMIC:
                continue
            size = min(segment.memory_size, MAX_DYNAMIC * 16) & ~15
            table = bytes(self._read(bias + segment.address, size))
            for tag, value in struct.iter_unpack("<QQ", table[:len(table) & ~15]):
                if tag == wanted:
                    return value
                if tag == DT_NULL:
                    break
        return 0

    def _word(self, address: int) -> int:
        data = bytes(self._read(address, 8))
        return struct.unpack("<Q", data)[0] if len(data) == 8 else 0

    def _segments_in_memory(self, bias: int) -> Optional[List[elf.Segment]]:
        return elf.segments_of(lambda offset, size: self._read(bias + offset, size))

    def _module(self, path: str, segments: List[elf.Segment], bias: int, others: List[str]) -> stacktide.Module:
        start, end = elf.extent(segments)
        build = elf.build_id_of_segments(segments, lambda address, size: self._read(bias + address, size), in_memory=True)
        candidates = [path] if path else []
        if self._native_pid:
            candidates = others + candidates
        candidates += self._objfiles.get(os.path.basename(path), [])
        file, problem = _choose_file(path, build, candidates)
        return stacktide.Module(path=path, load_bias=bias & ((1 << 64) - 1), start=bias + start, end=bias + end, file=file,
                                build_id=build, problem=problem)


def _choose_file(path: str, build: str, candidates: List[str]) -> Tuple[str, str]:
    """The file to open here, or "" and why not."""
    other_build = ""
    for candidate in candidates:
        found = elf.build_id_of_file(candidate)
        if found is None:
            continue
        # Without a build id in memory (none was linked in, or the core left it out) there is nothing to compare.
        if not build or found == build:
            return candidate, ""
        other_build = candidate
    if other_build:
        return "", "%s is another build than the one that runs" % other_build
    return "", "%s is not on this machine" % (path or "the executable")


def _segments_of_file(path: str) -> Optional[List[elf.Segment]]:
    """For a core that lacks a library's first page."""
    try:
        with open(path, "rb") as file:

            def read(offset: int, size: int) -> bytes:
                file.seek(offset)
                return file.read(size)

            return elf.segments_of(read)
    except (OSError, ValueError, OverflowError):
        return None


def _without_sysroot(path: str) -> str:
    """GDB marks files that it reads through gdbserver; core opens them here, if they are here."""
    return path[len("target:"):] if path.startswith("target:") else path


def _objfile_paths() -> Dict[str, List[str]]:
    """Files that GDB has opened, by base name: the user may have named them by hand."""
    result: Dict[str, List[str]] = {}
    for objfile in gdb.objfiles():
        if objfile.filename and objfile.owner is None:
            path = _without_sysroot(objfile.filename)
            result.setdefault(os.path.basename(path), []).append(path)
    return result


def native_pid() -> int:
    """The process id where /proc of this machine describes the inferior, else 0."""
    inferior = gdb.selected_inferior()
    connection = inferior.connection
    return inferior.pid if connection is not None and connection.type == "native" else 0

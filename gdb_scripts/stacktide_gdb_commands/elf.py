"""Just enough of ELF to tell where a file is mapped and which build it is.

Headers are read through a function read(offset, size) -> bytes (short or empty when absent): of a file, or of the target's
memory. Everything read is hostile: counts and sizes are bounded, and what makes no sense is None.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable, List, Optional

Read = Callable[[int, int], bytes]

PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_PHDR = 1, 2, 4, 6
NT_GNU_BUILD_ID = 3
HEADER_SIZE = 64
SEGMENT_SIZE = 56
MAX_SEGMENTS = 1024
MAX_NOTES = 65536  # bytes
MAX_BUILD_ID = 64
PAGE = 4096


@dataclass(frozen=True)
class Segment:
    """A program header."""

    type: int
    offset: int
    address: int
    file_size: int
    memory_size: int


def segments_at(read: Read, offset: int, count: int, stride: int = SEGMENT_SIZE) -> Optional[List[Segment]]:
    """The program headers at `offset`; None when they cannot be read."""
    if not 0 < count <= MAX_SEGMENTS or stride != SEGMENT_SIZE:
        return None
    table = bytes(read(offset, count * stride))
    if len(table) != count * stride:
        return None
    result = []
    for kind, _, where, address, _, file_size, memory_size, _ in struct.iter_unpack("<IIQQQQQQ", table):
        result.append(Segment(kind, where, address, file_size, memory_size))
    return result


def segments_of(read: Read) -> Optional[List[Segment]]:
    """The program headers of the 64-bit little-endian ELF file that starts at 0; None when there is no such file."""
    header = bytes(read(0, HEADER_SIZE))
    if len(header) != HEADER_SIZE or header[:6] != b"\x7fELF\x02\x01":
        return None
    (table,) = struct.unpack_from("<Q", header, 32)
    stride, count = struct.unpack_from("<HH", header, 54)
    return segments_at(read, table, count, stride)


def extent(segments: List[Segment]) -> "tuple[int, int]":
    """Lowest and one past the highest address of what is mapped, before the load bias."""
    loads = [segment for segment in segments if segment.type == PT_LOAD]
    if not loads:
        return 0, 0
    low = min(segment.address for segment in loads)
    high = max(segment.address + segment.memory_size for segment in loads)
    return low & ~(PAGE - 1), (high + PAGE - 1) & ~(PAGE - 1)


def build_id(notes: bytes) -> str:
    """The build id in a block of notes, in lower-case hex; "" when there is none."""
    position = 0
    while position + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, position)
        name_at = position + 12
        data_at = name_at + ((name_size + 3) & ~3)
        if data_at + size > len(notes):
            return ""
        if kind == NT_GNU_BUILD_ID and notes[name_at:data_at] == b"GNU\0" and size <= MAX_BUILD_ID:
            return notes[data_at:data_at + size].hex()
        position = data_at + ((size + 3) & ~3)
    return ""


def build_id_of_segments(segments: List[Segment], read: Read, in_memory: bool) -> str:
    """The build id among the PT_NOTEs, read by address or by file offset; "" when there is none or it is absent."""
    for segment in segments:
        if segment.type != PT_NOTE:
            continue
        start = segment.address if in_memory else segment.offset
        found = build_id(bytes(read(start, min(segment.file_size, MAX_NOTES))))
        if found:
            return found
    return ""


def build_id_of_file(path: str) -> Optional[str]:
    """The build id of a file, "" when it has none, None when it is no readable ELF file."""
    try:
        with open(path, "rb") as file:

            def read(offset: int, size: int) -> bytes:
                file.seek(offset)
                return file.read(size)

            segments = segments_of(read)
            return None if segments is None else build_id_of_segments(segments, read, in_memory=False)
    except (OSError, ValueError, OverflowError):
        return None

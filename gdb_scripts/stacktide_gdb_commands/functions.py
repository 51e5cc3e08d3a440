"""`$_goroutine()` and `$_goroutine_count()`, for conditions: `break f if $_goroutine() == 7`."""

from __future__ import annotations

import gdb
import stacktide

from .current import Current
from .errors import describe
from .selection import Selection

# What a program has not got is no goroutine; that it could not be read is an error.
NONE = ("no_runtime", "not_supported")


class GoroutineFunction(gdb.Function):
    """The id of the goroutine that is selected, or runs on the selected thread; 0 when none.

Usage: $_goroutine ()"""

    def __init__(self, current: Current, selection: Selection) -> None:
        super().__init__("_goroutine")
        self._current = current
        self._selection = selection

    def invoke(self) -> int:  # pylint: disable=arguments-differ
        """GDB's."""
        if self._selection.registers is not None and self._selection.shows():
            return self._selection.id
        return _or_none(lambda: getattr(self._current.goroutine(), "id", 0))


class GoroutineCountFunction(gdb.Function):
    """How many goroutines the program has; 0 when it has no goroutine runtime, or there is no process.

Usage: $_goroutine_count ()"""

    def __init__(self, current: Current) -> None:
        super().__init__("_goroutine_count")
        self._current = current

    def invoke(self) -> int:  # pylint: disable=arguments-differ
        """GDB's."""
        return _or_none(lambda: self._current.session().goroutine_count())


def _or_none(ask) -> int:  # type: ignore[no-untyped-def]
    if gdb.selected_thread() is None:
        return 0
    try:
        return int(ask())
    except stacktide.Error as error:
        if error.code in NONE:
            return 0
        raise gdb.GdbError(describe(error)) from None

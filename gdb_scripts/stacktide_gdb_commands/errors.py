"""Each failure is one line, `stacktide: ...`, and never a traceback."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar

import gdb

PREFIX = "stacktide: "
F = TypeVar("F", bound=Callable[..., Any])


def one_line(text: str) -> str:
    """`text` with the prefix once, on one line."""
    line = " ".join(text.split("\n")).strip()
    return line if line.startswith(PREFIX) else PREFIX + line


def failure(text: str) -> gdb.GdbError:
    """The error to raise: GDB prints the text of a GdbError as it is."""
    return gdb.GdbError(one_line(text))


def describe(error: BaseException) -> str:
    """What to say about an exception, in one line."""
    import stacktide

    if isinstance(error, KeyboardInterrupt):
        return "Quit"
    if isinstance(error, gdb.GdbError):
        return str(error)
    if isinstance(error, (stacktide.Error, gdb.error)):
        return one_line(str(error))
    return one_line("internal error: %s: %s" % (type(error).__name__, error))


def guarded(function: F) -> F:
    """For what GDB calls: any exception leaves as a GdbError of one line."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ImportError as error:
            raise failure(str(error)) from None
        except BaseException as error:  # pylint: disable=broad-except
            raise gdb.GdbError(describe(error)) from None

    return wrapper  # type: ignore[return-value]

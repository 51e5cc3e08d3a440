"""Pretty printers: what a handle stands for, `channel<int> len 2 cap 8, 3 receivers waiting (goroutines 7, 9, 12)`.

GDB supplies what is in the handle, a word, and the name of its type; core reads the runtime's structure there and makes the text, so
no debug info of the runtime is needed. A channel's buffered values are its children, by the type in the channel's own. A pointer to a handle,
or to one of the runtime's goroutine records, is followed: its address, then what is there.

Nothing here walks the goroutines, unless a goroutine itself is printed, and then once per stop: a thousand channels cost a thousand small reads.
A program without a process or a core has its handles shown raw, as without printers.
Rejected: asking GDB for the members of the runtime's own structures (there only where the runtime was built with debug info).
"""

from __future__ import annotations

from typing import Any, Iterator, Optional, Tuple

import gdb
import gdb.printing
import gdb.types
import stacktide

from . import errors
from .errors import failure
from .sessions import Sessions

NAME = "stacktide"
MASK = (1 << 64) - 1
# Of these types a value of at most a word is trivial, so a channel keeps it in the word itself.
TRIVIAL = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_FLT, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_PTR)


def type_name(of: gdb.Type) -> str:
    """Its name without qualifiers, typedefs and references; "" of one without a name."""
    basic = gdb.types.get_basic_type(of)
    return str(basic.tag or basic.name or "")


def followed(value: gdb.Value) -> Optional[gdb.Value]:
    """What a pointer to a handle points at; None of other values."""
    pointer = gdb.types.get_basic_type(value.type)
    if pointer.code != gdb.TYPE_CODE_PTR or stacktide.handle_type(type_name(pointer.target())) is None:
        return None
    return value.referenced_value() if value.type.code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF) else value


class HandlePrinter:
    """One handle, or one structure behind one."""

    def __init__(self, sessions: Sessions, value: gdb.Value) -> None:
        self._sessions = sessions
        self._value = value
        self._name = type_name(value.type)
        found = stacktide.handle_type(self._name)
        self._is_channel = found is not None and found[1] == "channel" and not found[2]
        self._is_object = found is not None and found[2]

    def to_string(self) -> str:
        try:
            session = self._sessions.current()
            if self._name == "stacktide::once":
                state = self._value["state_"]["_M_ptr"].dereference()
                done = bool(int(state["done"]["_M_base"]["_M_i"]))
                return str(session.describe_once(done, int(state["busy"]["core_"]) & MASK))
            return str(session.describe_handle(self._name, self._address()))
        except (stacktide.Error, gdb.error, gdb.GdbError, OverflowError) as error:
            return "<%s>" % errors.describe(error)

    def children(self) -> Iterator[Tuple[str, Any]]:
        """The buffered values of a channel, the oldest first; none where it is not known how they lie there."""
        if not self._is_channel:
            return
        try:
            words = self._sessions.current().buffered_values(self._address()) if self._address() else []
            element = gdb.types.get_basic_type(self._value.type).template_argument(0)
            in_place = lies_in_place(element)
        except (stacktide.Error, gdb.error, gdb.GdbError, RuntimeError, OverflowError):
            return
        if in_place is None:
            return
        pointer = element.pointer()
        for index, word in enumerate(words):
            value = gdb.Value(word).cast(pointer if in_place else pointer.pointer())
            yield "[%d]" % index, value.dereference() if in_place else value.dereference().dereference()

    def display_hint(self) -> Optional[str]:
        return "array" if self._is_channel else None

    def _address(self) -> int:
        if not self._is_object:
            return int(self._value["core_"]) & MASK
        address = self._value.address
        if address is None:
            raise failure("it is not in memory")
        return int(address) & MASK


class PointerPrinter:
    """A pointer to one of these: its address, then what is there."""

    def __init__(self, sessions: Sessions, value: gdb.Value) -> None:
        self._sessions = sessions
        self._value = value

    def to_string(self) -> str:
        address = int(self._value) & MASK
        if address == 0:
            return "0x0"
        return "%#x %s" % (address, HandlePrinter(self._sessions, self._value.dereference()).to_string())


def lies_in_place(element: gdb.Type) -> Optional[bool]:
    """Does a channel keep a value of this type in the word itself? False: the word is its address. None: the debug info does not say."""
    element = element.strip_typedefs()
    if element.sizeof > 8:
        return False
    if element.code in TRIVIAL:
        return True
    try:
        bases = [field.name for field in gdb.lookup_type("stacktide::detail::value_word<%s>" % (element.tag or element.name)).fields() if field.is_base_class]
    except gdb.error:
        return None
    if "stacktide::detail::value_in_word" in bases:
        return True
    return False if "stacktide::detail::value_in_heap" in bases else None


class Printers(gdb.printing.RegexpCollectionPrettyPrinter):
    """The collection `stacktide`: `info pretty-printer` lists its members, `disable pretty-printer` turns them off."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(NAME)
        self._sessions = sessions
        make = lambda value: HandlePrinter(sessions, value)
        for name, pattern in (("channel", r"^stacktide::channel<.*>$"), ("mutex", r"^stacktide::mutex$"),
                              ("wait_group", r"^stacktide::wait_group$"), ("once", r"^stacktide::once$"),
                              ("runtime", r"^stacktide::runtime::(Goroutine|Channel|Mutex|WaitGroup)$")):
            self.add_printer(name, pattern, make)

    def __call__(self, value: gdb.Value) -> Any:
        try:
            pointer = followed(value)
            printer = super().__call__(value) if pointer is None else PointerPrinter(self._sessions, pointer)
            return printer if printer is not None and gdb.selected_inferior().threads() else None
        except (gdb.error, RuntimeError):
            return None  # GDB shows it raw


def register(sessions: Sessions) -> None:
    """For all programs: the types' names say which."""
    gdb.printing.register_pretty_printer(None, Printers(sessions), replace=True)

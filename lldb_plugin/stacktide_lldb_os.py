"""Goroutines as threads of LLDB: the Python half of the plugin's goroutine_threads.cpp.

LLDB takes threads that no kernel knows from an OperatingSystem class only, and that must be Python. This class
walks nothing and keeps no goroutines of its own: it copies records that the C++ plugin made. The plugin sets
`target.process.python-os-plugin-path` to this file; LLDB makes one object per process. The plugin then calls
create_thread(HANDSHAKE, address), where address is its Bridge, a table of its functions in LLDB's own memory.
After that
  - create_thread(tid, address): a ThreadRecord at that address; one goroutine becomes a thread for this stop;
  - get_thread_info(), which LLDB calls at every later stop: the records of Bridge.list, none unless `goroutine
    threads` is on.

Only goroutines that are on no OS thread are given; the others are there already, as the thread they run on.
ctypes instead of an extension module: any Python 3 that LLDB embeds will do, and there is no second copy of core.
Nothing here touches LLDB's API: get_thread_info runs under LLDB's locks.
The file's name must shadow no module, as LLDB puts its folder on sys.path.
"""

import ctypes

HANDSHAKE = 0xFFFFFFFFFFFF0001  # no tid: Linux's end at 2^22, the plugin's own below 2^63
VERSION = 1
PRUNE_EVERY = 64


class ThreadRecord(ctypes.Structure):
    """As ThreadRecord in goroutine_threads.h."""

    _fields_ = [
        ("tid", ctypes.c_uint64),
        ("registers", ctypes.c_uint64 * 8),  # rip, rsp, rbp, rbx, r12 to r15
        ("register_count", ctypes.c_uint64),  # how many of them are known
        ("name", ctypes.c_char * 216),
    ]


class Bridge(ctypes.Structure):
    """As GoroutineThreads::Bridge in goroutine_threads.h."""

    _fields_ = [
        ("version", ctypes.c_uint64),
        ("record_size", ctypes.c_uint64),
        ("owner", ctypes.c_void_p),
        ("hello", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("list", ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.POINTER(ctypes.POINTER(ThreadRecord)))),
    ]


def register_info(saved_count):
    """The registers of x86-64 that unwinding needs.

    A parked goroutine has the first saved_count: rip, rsp and rbp, and those that another runtime keeps in its records; the others are
    in its frames, where CFI finds them. They must be listed for
    that, and yet read as unavailable in frame 0: get_register_data ends before their offset, so LLDB finds no bytes for
    them. (At a larger offset its check of the length wraps, and they would read as 0.)
    """
    # name, DWARF number (System V ABI, figure 3.36), generic name
    kept = [("rip", 16, "pc"), ("rsp", 7, "sp"), ("rbp", 6, "fp"), ("rbx", 3, None)]
    kept += [("r%d" % number, number, None) for number in range(12, 16)]
    saved = kept[:saved_count]
    others = [("rax", 0), ("rdx", 1), ("rcx", 2), ("rsi", 4), ("rdi", 5)]
    others += [("r%d" % number, number) for number in range(8, 12)]
    others += [(name, number) for name, number, _ in kept[saved_count:]]
    registers = []
    for index, (name, number, generic) in enumerate(saved):
        registers.append(one_register(name, number, index * 8, generic))
    for name, number in others:
        registers.append(one_register(name, number, len(saved) * 8, None))
    return {"sets": ["General Purpose Registers"], "registers": registers}


def one_register(name, number, offset, generic):
    register = {
        "name": name,
        "bitsize": 64,
        "offset": offset,
        "encoding": "uint",
        "format": "hex",
        "set": 0,
        "gcc": number,
        "dwarf": number,
    }
    if generic:
        register["generic"] = generic
    return register


class OperatingSystemPlugIn(object):
    def __init__(self, process):
        self.bridge = None
        self.registers = {}  # tid -> bytes
        self.saved_count = 3  # of the runtime's contexts; all are alike
        self.updates = 0

    def create_thread(self, tid, context):
        if tid == HANDSHAKE:
            bridge = Bridge.from_address(context)
            if bridge.version == VERSION and bridge.record_size == ctypes.sizeof(ThreadRecord):
                self.bridge = bridge
                bridge.hello(bridge.owner)
            return None
        return self.take(ThreadRecord.from_address(context))

    def get_thread_info(self):
        self.registers = {}
        if self.bridge is None:
            return []
        records = ctypes.POINTER(ThreadRecord)()
        count = self.bridge.list(self.bridge.owner, ctypes.byref(records))
        return [self.take(records[index]) for index in range(count)]

    def does_plugin_report_all_threads(self):
        """Told "yes", LLDB looks up each thread that it ever had a plan of in the list, one by one from its start. Once in a while is enough."""
        self.updates += 1
        return self.updates % PRUNE_EVERY == 0

    def take(self, record):
        known = record.registers[: record.register_count]
        self.saved_count = max(self.saved_count, record.register_count)
        self.registers[record.tid] = b"".join(value.to_bytes(8, "little") for value in known)
        # Each further key of thousands of threads is copied at each stop; LLDB looks at no others of those that we could give.
        return {"tid": record.tid, "name": record.name.decode("utf-8", "replace")}

    def get_register_info(self):
        return register_info(self.saved_count)

    def get_register_data(self, tid):
        return self.registers.get(tid, b"")

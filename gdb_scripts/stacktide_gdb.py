"""Loads stacktide's GDB commands: `source .../python/stacktide_gdb.py`.

A thin loader: it finds the package and the compiled module beside itself, and says in one line why it cannot. Loading changes
nothing in GDB but its commands, and adds hooks to those that step. Kept to syntax that any Python 3 reads, so that a GDB with another Python gets to the message.
"""

import glob
import os
import sys

import gdb


def _problem(folder):
    """Why the module in `folder` cannot work in this GDB; "" when it can."""
    if not hasattr(gdb.Inferior, "connection_num"):
        return "needs GDB 12 or newer, this is %s" % gdb.VERSION
    here = sys.implementation.cache_tag  # "cpython-311"
    found = [os.path.basename(name) for name in glob.glob(os.path.join(glob.escape(folder), "stacktide.*.so"))]
    if not found:
        return "no compiled module stacktide.*.so beside %s: build the target stacktide_python" % folder
    if any(name.split(".")[1].startswith(here + "-") for name in found):
        return ""
    built = found[0].split(".")[1].split("-")[1]  # "311"
    return "built for Python %s.%s, this GDB has %d.%d: configure with -DPython3_EXECUTABLE=<the Python of this GDB>" % (
        built[:1], built[1:], sys.version_info[0], sys.version_info[1])


def _load():
    folder = os.path.dirname(os.path.abspath(__file__))
    problem = _problem(folder)
    if not problem:
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            import stacktide_gdb_commands

            stacktide_gdb_commands.install()
        except ImportError as error:  # a library that the module needs is missing
            problem = str(error)
    if problem:
        gdb.write("stacktide: %s\n" % problem, gdb.STDERR)


_load()

"""Loads stacktide's GDB commands: `source .../python/stacktide_gdb.py`.

A thin loader: it finds the package and the compiled module beside itself, and says in one line why it cannot. Loading changes
nothing in GDB but its commands; the compiled module is loaded by the first command. Kept to syntax that any Python 3 reads,
so that a GDB with another Python gets to the message.
"""

import glob
import os
import sys

import gdb


def _problem(folder):
    """Why the module in `folder` cannot work in this GDB; "" when it can."""
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
    folder = os.path.dirname(os.path.realpath(os.path.abspath(__file__)))
    # The build tree holds links to the sources, so the module lies where the script was named, not where it is.
    named = os.path.dirname(os.path.abspath(__file__))
    problem = _problem(named)
    if problem:
        gdb.write("stacktide: %s\n" % problem, gdb.STDERR)
        return
    for path in (folder, named):
        if path not in sys.path:
            sys.path.insert(0, path)
    import stacktide_gdb_commands

    stacktide_gdb_commands.install()


_load()

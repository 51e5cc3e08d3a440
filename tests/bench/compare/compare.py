"""The driver of compare.sh: runs the sides in turns, prints medians and ratios.

A round of a row is one process for each side, one after the other, the next round in the opposite order, so that what disturbs the machine for a
while disturbs all sides. No process is tied to a processor: at one processor too, both runtimes have a thread that watches, and on a processor that
is shared with it the rows would measure how often it runs.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

from rows import ROWS

SOURCE = pathlib.Path(__file__).resolve().parent
TIMEOUT = 300  # seconds, for one round of one side
# Columns, with the file name of each side's program.
SIDES = {"stacktide": "bench_compare", "go": "bench_compare_go", "boost": "bench_compare_fibers", "threads": "bench_compare_threads",
         "plain": "bench_compare_plain"}


class Failure(Exception):
    pass


def say(text):
    print(f"compare.sh: {text}", file=sys.stderr, flush=True)


def run(command, environment=None):
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=TIMEOUT, check=False,
                              env=None if environment is None else {**os.environ, **environment})
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{command[0]}: no end after {TIMEOUT} seconds") from error
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def build_go(programs):
    """The path of Go's side, freshly built, or None where there is no go."""
    wanted = os.environ.get("GO", "go")
    go = shutil.which(wanted)
    if go is None:
        say(f"no '{wanted}' here: without Go's side (apt-get install golang-go, or GO=/path/to/go)")
        return None
    program = programs / SIDES["go"]
    # Where the user has no cache, nor a home to keep one in, it lies beside what it is for.
    if not any(os.environ.get(name) for name in ("GOCACHE", "XDG_CACHE_HOME", "HOME")):
        os.environ["GOCACHE"] = str(pathlib.Path(programs, "go-cache").absolute())
    run([go, "build", "-o", program, SOURCE / "main.go"])
    say(run([go, "version"]).strip())
    return program


def find_sides(programs):
    """Name -> (program, the rows it has)."""
    sides = {}
    for side, name in SIDES.items():
        program = build_go(programs) if side == "go" else programs / name
        if program is None:
            continue
        if not program.exists():
            if side == "boost":
                say("built without Boost.Context (libboost-context-dev): without fibers")
                continue
            raise Failure(f"there is no {program}: build bench_compare_programs")
        sides[side] = (program, set(run([program, "--list"]).split()))
    return sides


def measure(program, row, procs, milliseconds):
    environment = {"STACKTIDE_MAXPROCS": str(procs), "GOMAXPROCS": str(procs), **dict(row.environment)}
    text = run([program, row.name, milliseconds], environment)
    name, _, value = text.strip().partition("\t")
    if name != row.name:
        raise Failure(f"{program} said {text!r} of {row.name}")
    return float(value)


def measure_row(row, procs, sides, options):
    """Side -> the values of all rounds."""
    taking_part = [side for side, (_, names) in sides.items() if row.name in names and (procs == 1 or side in ("stacktide", "go"))]
    values = {side: [] for side in taking_part}
    for turn in range(options.rounds):
        for side in taking_part if turn % 2 == 0 else reversed(taking_part):
            values[side].append(measure(sides[side][0], row, procs, options.milliseconds))
    return values


def text_of(value, unit):
    if value is None:
        return "-"
    if unit == "bytes":
        return f"{value:,.0f} B"
    for limit, divisor, name in ((1e3, 1, "ns"), (1e6, 1e3, "us"), (1e9, 1e6, "ms")):
        if value < limit:
            return f"{value / divisor:.{1 if value / divisor >= 10 else 2}f} {name}"
    return f"{value / 1e9:.2f} s"


def summary(row, procs, values):
    """One row of --json. Names end in _ns in bytes rows too; `unit` says what they are."""
    medians = {side: statistics.median(found) for side, found in values.items()}
    ours, theirs = medians.get("stacktide"), medians.get("go")
    result = {"name": row.name, "procs": procs, "unit": row.unit}
    for side in SIDES:
        result[f"{side}_ns"] = medians.get(side)
    result["ratio"] = theirs / ours if ours and theirs is not None else None
    result["rounds"] = values
    return result


def print_line(cells):
    print(f"{cells[0]:<20} {cells[1]:>5}" + "".join(f" {cell:>11}" for cell in cells[2:]), flush=True)


def parse():
    parser = argparse.ArgumentParser(
        prog="compare.sh", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures goroutines beside Go's, Boost.Context fibers and threads, in one run.\n"
        "ratio: go / stacktide, above 1 where stacktide is faster or smaller. plain: the same C++ compiled without stack checks.\n"
        "Values are medians of interleaved rounds. GO=path picks a go; BUILD=folder another build than build/release.")
    parser.add_argument("--rounds", type=int, help="how often each side is measured (default 9; with --quick 1)")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX", help="rows whose name matches")
    parser.add_argument("--procs", default="1,2", metavar="N,N", help="numbers of processors to measure at (default 1,2)")
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that it works; the figures say little")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    parser.add_argument("--list", action="store_true", help="name the rows, and what is done for one operation of each")
    parser.add_argument("--no-build", action="store_true", help="the programs are there already (Go's is built all the same)")
    parser.add_argument("--programs", type=pathlib.Path, default=SOURCE.parents[2] / "build/release/bench", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 1 if options.quick else 9
    options.milliseconds = 5 if options.quick else 100
    if options.rounds < 1 or not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", options.procs):
        parser.error("--rounds wants a number from 1 on, --procs such as 1,2")
    options.procs = [int(number) for number in options.procs.split(",")]
    return options


def main():
    options = parse()
    wanted = [row for row in ROWS if options.only.search(row.name)]
    if not wanted:
        raise Failure(f"no row matches '{options.only.pattern}'; --list names them")
    if options.list:
        for row in wanted:
            print(f"{row.name}\n    {row.what} [{row.unit}]")
        return
    sides = find_sides(options.programs)
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0))
    say(f"{options.rounds} rounds, {cores} processors, load {load:.2f}")
    if load > 0.5 and not options.quick:
        say("something else is running: figures at two processors, and of threads, will be off")
    results = []
    print_line(["name", "procs", "stacktide", "go", "ratio", "boost", "threads", "plain"])
    for row in wanted:
        for procs in options.procs if row.each_procs else options.procs[:1]:
            result = summary(row, procs, measure_row(row, procs, sides, options))
            results.append(result)
            ratio = "-" if result["ratio"] is None else f"{result['ratio']:.2f}"
            cells = {side: text_of(result[f"{side}_ns"], row.unit) for side in SIDES}
            print_line([row.name, str(procs), cells["stacktide"], cells["go"], ratio, cells["boost"], cells["threads"], cells["plain"]])
    if options.json:
        document = {"rows": results, "rounds": options.rounds, "milliseconds": options.milliseconds, "processors": cores, "load": load,
                    "go": "go" in sides}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as error:
        say(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

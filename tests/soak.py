#!/usr/bin/python3
"""Runs the runtime's test programs for a long time at random settings, several at once; stops at the first that fails.

    soak.py BUILD_FOLDER [--seconds N] [--seed N] [--jobs N]

The programs are those that ctest knows as runtime/NAME, each with the settings it is registered with; added to them at random: another number of Ps,
SIGPROF to each thread, poisoned or unmapped stacks, few cores, small event rings. A build with -DSTACKTIDE_MATRIX=ON has more of them. The same seed
gives the same sequence of commands. A failure is printed with the command that repeats it. Exit code 0: none failed.
"""
import argparse
import collections
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time

# Seconds; the slowest takes a minute alone under SIGPROF.
LIMIT = 600


def registered(folder):
    """(name, command, environment) of each test of the label that is a program of the runtime."""
    shown = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1", "-R", "^runtime/"], check=True, capture_output=True)
    for test in json.loads(shown.stdout)["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        command = test.get("command", [])
        # What is not built has no command that could be run.
        wrong_on_purpose = "PASS_REGULAR_EXPRESSION" in properties or properties.get("WILL_FAIL")
        if command and os.access(command[0], os.X_OK) and not wrong_on_purpose:
            yield test["name"], command, dict(entry.split("=", 1) for entry in properties.get("ENVIRONMENT", []))


def varied(rng, environment):
    settings = dict(environment)
    if rng.random() < 0.7:
        settings["STACKTIDE_MAXPROCS"] = str(rng.choice([1, 2, 3, 4, 8, 16]))
    if rng.random() < 0.3:
        settings["RT_SIGPROF"] = str(rng.choice([100, 1000]))
    if rng.random() < 0.3:
        settings["STACKTIDE_FREED"] = rng.choice(["poison", "unmap"])
    if rng.random() < 0.3:
        settings["STACKTIDE_EVENTS"] = "16"
    return settings


class Run:
    def __init__(self, test, rng):
        self.name, command, environment = test
        self.settings = varied(rng, environment)
        self.command = (["taskset", "-c", "0"] if rng.random() < 0.2 else []) + command
        self.output = tempfile.TemporaryFile()
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.command, env={**os.environ, **self.settings}, stdout=self.output, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL)

    def text(self):
        settings = " ".join(f"{name}={value}" for name, value in sorted(self.settings.items()))
        return f"{settings} {shlex.join(self.command)}"

    def report(self, what):
        self.output.seek(0)
        print(f"{self.name}: {what}\n{self.output.read().decode(errors='replace')[-8000:]}\nagain: {self.text()}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)) + 1)
    arguments = parser.parse_args()
    tests = list(registered(arguments.folder))
    if not tests:
        sys.exit(f"soak: no program of the runtime is built in {arguments.folder}")
    rng = random.Random(arguments.seed)
    end = time.monotonic() + arguments.seconds
    said = time.monotonic()
    passed = collections.Counter()
    running = []
    failed = False
    while running or (time.monotonic() < end and not failed):
        while len(running) < arguments.jobs and time.monotonic() < end and not failed:
            running.append(Run(rng.choice(tests), rng))
        for run in list(running):
            code = run.process.poll()
            if code is None and time.monotonic() - run.started > LIMIT:
                run.process.kill()
                run.process.wait()
                run.report(f"did not end in {LIMIT} seconds")
                failed = True
            elif code is None:
                continue
            elif code != 0:
                run.report(f"exit code {code}")
                failed = True
            else:
                passed[run.name] += 1
            running.remove(run)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"{passed.total()} runs of {len(passed)} programs and settings passed", flush=True)
        # Until the next one may have ended.
        time.sleep(0.02)
    print(f"seed {arguments.seed}: {passed.total()} runs of {len(passed)} of {len(tests)} programs and settings passed" + (", one failed" if failed else ""))
    sys.exit(1 if failed else 0)


main()

"""Sums up ctest's JUnit file: prints "N passed, N failed" as the last line and exits with 1 unless all passed.

A doctest executable counts with its test cases, as its own summary says; any other test counts as one. A test that was
killed, timed out or failed outside its cases counts as one more failure, so that no failure can hide behind a summary.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

SUMMARY = re.compile(r"\[doctest\] test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def count(case):
    """(passed, failed, skipped) of one <testcase>."""
    status = case.get("status")
    output = COLOURS.sub("", case.findtext("system-out") or "")
    summaries = SUMMARY.findall(output)
    if not summaries:
        return {"run": (1, 0, 0), "notrun": (0, 1, 0), "disabled": (0, 0, 1)}.get(status, (0, 1, 0))
    _, passed, failed, _ = (int(number) for number in summaries[-1])
    if status != "run" and failed == 0:
        failed = 1
    return passed, failed, 0


def main(path):
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"no test results: {error}")
        print("0 passed, 1 failed")
        return 1
    passed = failed = skipped = 0
    for case in cases:
        numbers = count(case)
        if numbers[1]:
            print(f"failed: {case.get('name')}")
        passed, failed, skipped = (a + b for a, b in zip((passed, failed, skipped), numbers))
    if skipped:
        print(f"{skipped} disabled")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

#!/bin/sh
# Goroutines beside Go's, beside fibers (Boost.Context) and beside threads: builds a program for each and prints ratios. See compare/README.md.
#
#   tests/bench/compare.sh                      everything, some minutes; GO=path picks a go
#   tests/bench/compare.sh --quick --only yield
#   tests/bench/compare.sh --help
set -eu
root="$(cd "$(dirname "$0")/../.." && pwd)"
build="${BUILD:-$root/build/release}"
case " $* " in
  *" --help "* | *" -h "* | *" --list "* | *" --no-build "*) ;;
  *)
    if [ ! -f "$build/CMakeCache.txt" ]; then
      echo "compare.sh: $build is not configured; run ./test.sh once, or: cmake --preset release" >&2
      exit 2
    fi
    cmake --build "$build" --target bench_compare_programs >&2
    ;;
esac
exec /usr/bin/env python3 "$root/tests/bench/compare/compare.py" --programs "$build/bench" "$@"

#!/bin/sh
# Builds the release preset and runs the tests. Ends with a line "N passed, N failed"; the exit status is 0 if none failed.
#
#   ./test.sh              the rings unit, abi, layering and e2e, without what is marked slow or matrix
#   ./test.sh --all        everything: also the runtime's programs at -O0 to -O3, PIE or not, under all settings, and a million goroutines
#   ./test.sh ... -R NAME  other arguments go to ctest
#
# On a Debian 12 without the packages it needs, it names them and installs them (as root or with sudo).
set -eu
cd "$(dirname "$0")"
. .ci/setup.sh

selection="-L ^(unit|abi|layering|e2e)\$ -LE ^(slow|matrix)\$"
matrix=OFF
if [ "${1-}" = "--all" ]; then
  selection=""
  matrix=ON
  shift
fi

# shellcheck disable=SC2086
need_packages $BUILD_PACKAGES $TEST_PACKAGES
build_release -DSTACKTIDE_TESTS=ON -DSTACKTIDE_GDB=ON -DSTACKTIDE_LLDB=ON -DSTACKTIDE_MATRIX=$matrix -DSTACKTIDE_SLOW=$matrix

results=build/release/test-results.xml
rm -f "$results"
# The end of a test's output holds doctest's counts.
set -f
# shellcheck disable=SC2086
ctest --test-dir build/release --parallel "$(nproc)" --output-on-failure --no-tests=error --output-junit test-results.xml \
  --test-output-size-passed 100000 --test-output-size-failed 1000000 --test-output-truncation head $selection "$@" || true
exec /usr/bin/python3 .ci/count_tests.py "$results"

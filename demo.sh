#!/bin/sh
# Shows stacktide on samples: live from the shell, then a core in GDB and in LLDB, then a trace in GDB, an audit, and a recording.
#
# On a Debian 12 without the packages it needs, it names them and installs them (as root or with sudo); then it builds.
set -eu
cd "$(dirname "$0")"
. .ci/setup.sh

# shellcheck disable=SC2086
need_packages $BUILD_PACKAGES
build_release -DSTACKTIDE_TESTS=OFF -DSTACKTIDE_GDB=ON -DSTACKTIDE_LLDB=ON

bin=build/release/bin
folder=$(mktemp -d)
park=""
finish() {
  if [ -n "$park" ]; then
    kill "$park" 2> /dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM

title() { printf '\n\n== %s\n' "$*"; }
# Prints a command as one would type it, then runs it.
show() {
  line='$'
  for word in "$@"; do
    case "$word" in
      *[!A-Za-z0-9_./=:,+-]*) line="$line '$word'" ;;
      *) line="$line $word" ;;
    esac
  done
  printf '\n%s\n' "$line"
  "$@"
}

title "A program with 12 goroutines, each waiting on a channel"
mkfifo "$folder/in" "$folder/out"
printf '\n$ %s &\n' "$bin/samples/park 12"
"$bin/samples/park" 12 < "$folder/in" > "$folder/out" &
park=$!
# Its input stays open until the end of the demo; its output says when all goroutines wait.
exec 8> "$folder/in" 9< "$folder/out"
read -r answer <&9
[ "$answer" = ready ]
echo "$answer"

title "Live, from the shell: the process stands still for a moment and runs on"
show "$bin/stacktide" list --pid "$park"
show "$bin/stacktide" stack 7 --pid "$park"
show "$bin/stacktide" bt 7 --pid "$park"

title "A core of it"
# The limit, in units of 512 bytes, is a guard: such a core takes some 100 MiB, most of it not on the disk.
dump() (
  ulimit -f 4194304
  gcore -o "$folder/core" "$park" > "$folder/gcore.txt" 2>&1
)
printf '\n$ gcore -o %s %s\n' "$folder/core" "$park"
dump || {
  cat "$folder/gcore.txt" >&2
  exit 1
}
core="$folder/core.$park"
exec 8>&-
wait "$park"
park=""

title "The core in GDB"
show gdb -nx -q -batch -iex "set debuginfod enabled off" -iex "set print thread-events off" -ex "source build/release/python/stacktide_gdb.py" \
  -ex "info goroutines" -ex "goroutine stack 7" -ex "goroutine 7 bt" -ex "goroutine 7" -ex "up 2" -ex "print text" \
  "$bin/samples/park" "$core"

title "The core in LLDB"
show lldb-19 --no-lldbinit --batch -o "plugin load build/release/lib/stacktide_lldb.so" \
  -o "goroutine list" -o "goroutine stack 7" -o "goroutine 7 bt" -o "goroutine 7" -o "up 2" -o "frame variable text" \
  --core "$core" "$bin/samples/park"

title "Stacks that grow and shrink, as it happens"
show gdb -nx -q -batch -iex "set debuginfod enabled off" -iex "set print thread-events off" \
  -ex "source build/release/python/stacktide_gdb.py" -ex "goroutine trace on" -ex "run" \
  --args "$bin/samples/grow" 300

title "A pointer that was left behind when a stack moved"
# What park has still said goes with the last end of its pipe.
exec 9<&-
printf '\n$ %s &\n' "$bin/samples/stale_pointer --wait"
"$bin/samples/stale_pointer" --wait < "$folder/in" > "$folder/out" &
park=$!
exec 8> "$folder/in" 9< "$folder/out"
read -r answer <&9
[ "$answer" = ready ]
echo "$answer"
# It exits with 1: there are findings.
show "$bin/stacktide" audit --pid "$park" > "$folder/audit.txt" || [ $? -eq 1 ]
cat "$folder/audit.txt"
stale=$(sed -n 's/.*kept is \(0x[0-9a-f]*\):.*/\1/p' "$folder/audit.txt")
show "$bin/stacktide" whereis "$stale" --pid "$park"
show "$bin/stacktide" stackmap 2 --frame 2 --pid "$park"
exec 8>&-
wait "$park"
park=""

title "A recording, and the rules that CI checks it by"
# It exits with 1 when a rule fails.
show "$bin/stacktide" record -o "$folder/leak.stt" -- "$bin/samples/leak"
show "$bin/stacktide" trace summary "$folder/leak.stt"
show "$bin/stacktide" trace check "$folder/leak.stt" --rules samples/stacktide.toml || [ $? -eq 1 ]

printf '\nREADME.md says more; %s --help lists the commands.\n' "$bin/stacktide"

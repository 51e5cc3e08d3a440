# shellcheck shell=sh disable=SC2034
# Sourced by test.sh and demo.sh: the Debian packages that are missing, and the release build. Nothing here asks a question.
# Both expect to be in the repository's root, with `set -eu`.

# What it takes to build stacktide and to look into a program with GDB and LLDB.
BUILD_PACKAGES="g++ cmake ninja-build pkg-config binutils gdb lldb-19 liblldb-19-dev python3-lldb-19 python3-dev pybind11-dev
  libunwind-dev libdw-dev libelf-dev libfmt-dev libcli11-dev nlohmann-json3-dev libcapstone-dev zlib1g-dev libzstd-dev liblzma-dev
  systemtap-sdt-dev libtomlplusplus-dev"
# What the tests need besides: doctest, remote debugging, and the linkers that stacktide-link has to work with (gold and BFD are in binutils); Go
# and Boost.Context also for the benchmarks that compare with them.
TEST_PACKAGES="doctest-dev gdbserver lld file libxml2-utils python3-jsonschema python3-yaml golang-go libboost-context-dev"

say() { printf '%s\n' "$*" >&2; }

# need_packages NAME...: installs those that are missing, by name.
need_packages() {
  if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
    say "not a Debian system: these Debian packages, or what they hold, must be there: $*"
    return 0
  fi
  missing=""
  for package in "$@"; do
    case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null)" in
      installed) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  say "installing the missing packages:$missing"
  as_root=""
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
      say "run this as root, or install them first: apt-get install$missing"
      return 1
    fi
    as_root="sudo"
  fi
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2
  # shellcheck disable=SC2086  # a list of words
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing >&2
}

# build_release [CMAKE-OPTION...]: configures and builds build/release.
build_release() {
  launchers=""
  if command -v ccache > /dev/null; then
    launchers="-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
  fi
  # shellcheck disable=SC2086
  cmake --preset release $launchers "$@" >&2
  cmake --build --preset release --parallel "$(nproc)" >&2
}

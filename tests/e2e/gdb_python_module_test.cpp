// The module `stacktide` in plain python3: sessions on processes and cores, hosts written in Python, errors.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/gdb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

// The Python that the module was built for, which is the one that GDB embeds.
constexpr const char* kPython = "/usr/bin/python3";

// Runs a script after `import stacktide`; returns what it printed.
std::string python(const std::string& script, const std::vector<std::string>& arguments = {}) {
  std::vector<std::string> argv = {
      kPython, "-c",
      "import json, os, sys, time\nsys.path.insert(0, '" STACKTIDE_BUILD_DIR "/python')\nimport stacktide\n" + script};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto output = run(argv);
  CAPTURE(output.err);
  CAPTURE(output.out);
  REQUIRE(output.exit_code == 0);
  return output.out;
}

Child start_park() {
  auto park = Child::start({sample_program("park"), "5"}, {.env = {}, .folder = "", .core = true});
  wait_until_parked(park);
  return park;
}

}  // namespace

TEST_CASE("Python sees the same goroutines as the CLI, live and on a core, under the same names") {
  auto park = start_park();
  const std::string script = R"(
with stacktide.open_process(int(sys.argv[1])) if sys.argv[1].isdigit() else stacktide.open_core(sys.argv[1]) as session:
    out, err, code = session.run(["list", "--json"])
    listed = json.loads(out)["goroutines"]
    goroutines = session.goroutines()
    assert code == 0 and len(listed) == len(goroutines) == 6
    for row, goroutine in zip(listed, goroutines):
        for name in ("id", "status", "wait_reason", "function", "file", "line", "entry", "grows", "label"):
            assert row[name] == getattr(goroutine, name), name
        for name in ("size", "used", "headroom", "high_water", "guard_state"):
            assert row["stack"][name] == getattr(goroutine.stack, name), name
        assert int(row["stack"]["lo"], 0) == goroutine.stack.lo
    frames = session.backtrace(6)
    registers = session.registers(6)
    name = session.thread_name(6)
    everything = session.snapshot().as_dict()
# Values outlive the session.
assert frames.complete and frames.frames[-1].function == "stacktide_goroutine_start"
assert registers["rip"] == frames.frames[0].pc and registers["rsp"] == goroutines[5].stack.sp
assert name == "goroutine 6 [chan receive] (anonymous namespace)::worker", name
assert everything["goroutines"][5]["stack"]["segments"][0]["size"] == 4096
assert everything["goroutine_counts"] == {"total": 6, "read": 6, "skipped": 0}, everything["goroutine_counts"]
assert "grows=1" in repr(goroutines[5])
print("same")
)";
  CHECK(python(script, {std::to_string(park.pid())}) == "same\n");
  CHECK(status_field(park.pid(), "TracerPid") == "0");
  CHECK(python(script, {make_core(park)}) == "same\n");
}

TEST_CASE("a Python object is a target as good as core's own, however short its reads are") {
  auto park = start_park();
  const std::string script = R"(
class Host:
    """Reads one page at a time of a process that another session keeps stopped."""
    def __init__(self, pid):
        self.pid, self.description = pid, "a host"
        self.file = open("/proc/%d/mem" % pid, "rb", buffering=0)
    def read_memory(self, address, size):
        self.file.seek(address)
        return self.file.read(min(size, 4096 - address % 4096))
    def modules(self):
        path = os.readlink("/proc/%d/exe" % self.pid)
        lines = [line.split() for line in open("/proc/%d/maps" % self.pid) if line.rstrip().endswith(path)]
        start, end = int(lines[0][0].split("-")[0], 16), int(lines[-1][0].split("-")[1], 16)
        return [stacktide.Module(path=path, load_bias=start, start=start, end=end, file=path)]
    def threads(self):
        return [stacktide.Thread(tid=self.pid, name="main", registers={})]
    def now(self):
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)

def waiting(session):
    """What is the same however it was read, but for the time that goes on."""
    found = [g.as_dict() for g in session.goroutines() if g.status == "waiting"]
    assert all(0 < g.pop("wait_ns") < 10**12 for g in found)
    return found

with stacktide.open_process(int(sys.argv[1])) as theirs:
    host = Host(int(sys.argv[1]))
    own = stacktide.Session(host)
    assert waiting(own) == waiting(theirs)
    assert len(waiting(own)) == 5
    # The ready-made one, with callbacks.
    other = stacktide.Session(stacktide.HostTarget(host.read_memory, host.modules, host.threads, host.pid, "another"))
    assert len(other.goroutines()) == 6
print("same")
)";
  CHECK(python(script, {std::to_string(park.pid())}) == "same\n");
}

TEST_CASE("an exception in a host's callback is absent memory, and Ctrl-C in one ends the call") {
  CHECK(python(R"(
class Host:
    pid, description, modules, threads = 1, "broken", [], []
    def read_memory(self, address, size):
        raise self.error("no")
host = Host()
host.modules = [stacktide.Module(path="x", load_bias=4096, start=4096, end=8192)]
for host.error in (ValueError, MemoryError):
    try:
        stacktide.Session(host).goroutines()
    except stacktide.Error as error:
        print(error.code)
host.error = KeyboardInterrupt
try:
    stacktide.Session(host).goroutines()
except KeyboardInterrupt:
    print("interrupted")
host.modules = lambda: 1 / 0
try:
    stacktide.Session(host).goroutines()
except stacktide.Error as error:
    print(error.code)
class Again(Host):
    def read_memory(self, address, size):
        try:
            self.session.goroutines()
        except stacktide.Error as error:
            self.said = error.code
        return b""
again = Again()
again.modules = [stacktide.Module(path="x", load_bias=4096, start=4096, end=8192)]
again.session = stacktide.Session(again)
try:
    again.session.goroutines()
except stacktide.Error as error:
    print(error.code, again.said)
)") == "no_runtime\nno_runtime\ninterrupted\nno_runtime\nno_runtime not_supported\n");
}

TEST_CASE("errors carry core's code and line, and wrong types are TypeErrors") {
  CHECK(python(R"(
def code(function, *arguments):
    try:
        function(*arguments)
    except (stacktide.Error, TypeError, ValueError) as error:
        assert "\n" not in str(error) or not isinstance(error, stacktide.Error)
        print(getattr(error, "code", type(error).__name__))
code(stacktide.open_process, 2**22 + 5)
code(stacktide.open_core, "/nonexistent")
code(stacktide.open_core, "/etc/passwd")
code(stacktide.open_core, sys.executable)
code(stacktide.Session, stacktide.HostTarget(None, [], [], kind="spaceship"))
code(stacktide.open_process, "one")
code(lambda: stacktide.Session(stacktide.HostTarget(lambda a, s: b"", [], [])).run(["list"], host="nowhere"))
session = stacktide.Session(stacktide.HostTarget(lambda a, s: b"", [], []))
print(session.run(["list"])[2])
session.close()
code(session.goroutines)
print([name for name, _, _, _ in stacktide.commands()][:3], stacktide.help([], "gdb")[2], "list" in stacktide.complete([], "l"))
)") == "no_such_process\nio_error\nnot_an_elf_file\nnot_a_core_file\nValueError\nTypeError\nValueError\n2\nnot_supported\n"
       "['list', 'bt', 'stack'] 0 True\n");
}

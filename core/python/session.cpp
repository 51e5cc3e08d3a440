// stacktide.Session: one target that stands still. Results are copies and outlive the session.
#include "session.h"

#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "errors.h"
#include "python_session.h"
#include "stacktide/core/apply.h"
#include "stacktide/core/command.h"
#include "stacktide/core/objects.h"
#include "stacktide/core/step.h"
#include "values.h"

namespace py = pybind11;

namespace stacktide::python {
namespace {

using Words = std::vector<std::string>;

py::tuple run_command(PythonSession& self, const Words& words, const std::string& host, bool colour, bool terminal,
                      std::uint32_t width, std::uint64_t current_thread, std::uint64_t current_goroutine) {
  CommandOptions options{host_of(host), colour, terminal, width, current_thread, current_goroutine};
  CommandResult result = self.call([&](Session& session) { return run(session, words, options); });
  return py::make_tuple(result.out, result.err, result.exit_code);
}

// Copies the goroutines out, with their places if wanted. The copy is what lets them outlive the session.
std::vector<Goroutine> all_goroutines(PythonSession& self, bool locate) {
  return value_or_raise(self.call([locate](Session& session) -> Result<std::vector<Goroutine>> {
    Snapshot* snapshot = STACKTIDE_TRY(session.snapshot());
    if (locate) {
      for (Goroutine& goroutine : snapshot->goroutines) session.locate(goroutine);
    }
    return snapshot->goroutines;
  }));
}

template <class Work>
auto with_goroutine(PythonSession& self, std::uint64_t id, Work work) {
  using Value = decltype(work(std::declval<Session&>(), std::declval<Goroutine&>()));
  return value_or_raise(self.call([&](Session& session) -> Result<Value> {
    Goroutine* goroutine = STACKTIDE_TRY(session.goroutine(id));
    return work(session, *goroutine);
  }));
}

std::optional<Goroutine> goroutine_of_thread(PythonSession& self, std::uint64_t tid) {
  return value_or_raise(self.call([tid](Session& session) -> Result<std::optional<Goroutine>> {
    STACKTIDE_TRY(session.snapshot());  // so that "no runtime" is an error and not "no goroutine"
    Goroutine* found = session.goroutine_of_thread(tid);
    if (found == nullptr) return std::nullopt;
    return *found;
  }));
}

// None: no handle's type.
std::optional<std::string> describe_typed(PythonSession& self, const std::string& type_name, Address address) {
  std::optional<HandleType> type = handle_type(type_name);
  if (!type) return std::nullopt;
  return self.call([&](Session& session) { return describe_handle(session, *type, address); });
}

std::vector<Address> buffered_values(PythonSession& self, Address channel) {
  return value_or_raise(self.call([&](Session& session) -> Result<std::vector<Address>> {
    return STACKTIDE_TRY(read_object(session, "channel", channel)).values;
  }));
}

// Plans the step of a goroutine that runs on a thread, or of a parked one with its saved registers.
Step plan_step(PythonSession& self, const std::string& kind, const Goroutine& goroutine, const py::dict& registers,
               Address cfa, std::size_t inlined) {
  if (kind != "next" && kind != "finish") throw py::value_error("kind is \"next\" or \"finish\"");
  return value_or_raise(self.call([&](Session& session) {
    return Step::plan(session, kind == "next" ? StepKind::next : StepKind::finish, goroutine, to_registers(registers),
                      StepFrame{cfa, inlined});
  }));
}

const char* step_ends(PythonSession& self, Step& step, const Goroutine& goroutine, const py::dict& registers) {
  switch (self.call([&](Session& session) { return step.ends(session, goroutine, to_registers(registers)); })) {
    case Step::Verdict::more:
      return "more";
    case Step::Verdict::stop:
      return "stop";
    case Step::Verdict::returned:
      return "returned";
    case Step::Verdict::go_on:
      break;
  }
  return "go_on";
}

std::vector<py::tuple> command_table() {
  std::vector<py::tuple> table;
  for (const CommandInfo& info : commands())
    table.push_back(py::make_tuple(info.name, info.arguments, info.summary, info.help));
  return table;
}

py::tuple help_text(const Words& words, const std::string& host) {
  CommandResult result = help(words, host_of(host));
  return py::make_tuple(result.out, result.err, result.exit_code);
}

void bind_session_class(py::module_& module) {
  py::class_<PythonSession>(
      module, "Session",
      "One target for as long as it stands still. target: an object with read_memory(address, size), modules, threads, "
      "pid, description and, optionally, kind; see HostTarget.")
      .def(py::init([](py::object target) {
             return std::make_unique<PythonSession>(std::make_unique<PythonTarget>(std::move(target)));
           }),
           py::arg("target"))
      .def("run", &run_command, py::arg("words"), py::kw_only(), py::arg("host") = "python", py::arg("colour") = false,
           py::arg("terminal") = false, py::arg("width") = 0, py::arg("current_thread") = 0,
           py::arg("current_goroutine") = 0, "Runs a command of the table: (out, err, exit_code).")
      .def("goroutines", &all_goroutines, py::arg("locate") = true,
           "All goroutines by id; locate=False leaves function, file, line, entry and created_* empty, which is faster.")
      .def(
          "goroutine",
          [](PythonSession& self, std::uint64_t id) {
            return with_goroutine(self, id, [](Session& session, Goroutine& found) {
              session.locate(found);
              return found;
            });
          },
          py::arg("id"))
      .def(
          "backtrace",
          [](PythonSession& self, std::uint64_t id) {
            return with_goroutine(self, id, [](Session& session, Goroutine& found) { return session.backtrace(found); });
          },
          py::arg("id"))
      .def(
          "thread_name",
          [](PythonSession& self, std::uint64_t id) {
            return with_goroutine(self, id, [](Session& session, Goroutine& found) { return session.thread_name(found); });
          },
          py::arg("id"), "\"goroutine 7 [chan receive] entry\"")
      .def(
          "registers",
          [](PythonSession& self, std::uint64_t id) {
            return to_dict(with_goroutine(self, id, [](Session&, Goroutine& found) { return found.registers; }));
          },
          py::arg("id"), "Where unwinding starts: the known registers by name.")
      .def("goroutine_of_thread", &goroutine_of_thread, py::arg("tid"),
           "The goroutine that runs on this OS thread, or None.")
      .def(
          "running_on",
          [](PythonSession& self, std::uint64_t tid) {
            return value_or_raise(self.call([tid](Session& session) { return session.running_on(tid); }));
          },
          py::arg("tid"), "The goroutine that runs on this OS thread now, or None, by three reads; without registers.")
      .def(
          "reread",
          [](PythonSession& self, const Goroutine& goroutine) {
            return value_or_raise(self.call([&](Session& session) { return session.reread(goroutine); }));
          },
          py::arg("goroutine"), "The same goroutine as it is now, or None when it has ended; by one read.")
      .def(
          "goroutine_count",
          [](PythonSession& self) { return value_or_raise(self.call([](Session& s) { return s.goroutine_count(); })); },
          "How many goroutines there are now.")
      .def(
          "plan_apply",
          [](PythonSession& self, const Words& words) {
            Apply apply = value_or_raise(self.call([&](Session& session) { return plan_apply(session, words); }));
            return py::make_tuple(apply.ids, apply.quiet, apply.silent, apply.used);
          },
          py::arg("words"), "(ids, quiet, silent, how many words come before the command) of what follows `apply`.")
      .def("plan_step", &plan_step, py::arg("kind"), py::arg("goroutine"), py::arg("registers"), py::arg("cfa") = 0,
           py::arg("inlined") = 0, "A Step: kind \"next\" or \"finish\"; cfa 0: the innermost frame.")
      .def("step_ends", &step_ends, py::arg("step"), py::arg("goroutine"), py::arg("registers"),
           "\"go_on\", \"more\" (breakpoints were added), \"stop\" or \"returned\", for a stop at one of step.breakpoints.")
      .def("snapshot",
           [](PythonSession& self) {
             return value_or_raise(
                 self.call([](Session& session) -> Result<Snapshot> { return *STACKTIDE_TRY(session.snapshot()); }));
           })
      .def(
          "symbolize",
          [](PythonSession& self, Address pc, bool exact) {
            return self.call([&](Session& session) { return session.symbolize(pc, exact); });
          },
          py::arg("pc"), py::arg("exact") = false, "Frames at a code address, innermost inlined function first.")
      .def("describe_handle", &describe_typed, py::arg("type_name"), py::arg("address"),
           "\"channel<int> len 2 cap 8\": what a handle of this C++ type stands for, when its word is `address`; None for "
           "other types.")
      .def(
          "describe_once",
          [](PythonSession& self, bool done, Address mutex) {
            return self.call([&](Session& session) { return describe_once(session, done, mutex); });
          },
          py::arg("done"), py::arg("mutex"))
      .def("buffered_values", &buffered_values, py::arg("channel"),
           "Addresses of the words of the values in a channel, the oldest first.")
      .def("event_hook",
           [](PythonSession& self) { return value_or_raise(self.call([](Session& s) { return s.event_hook(); })); })
      .def("pending_hook",
           [](PythonSession& self) { return value_or_raise(self.call([](Session& s) { return s.pending_hook(); })); })
      .def(
          "describe_event",
          [](PythonSession& self, Address event, Address caller) {
            return value_or_raise(self.call([&](Session& session) { return session.describe_event(event, caller); }));
          },
          py::arg("address"), py::arg("caller") = 0, "The line of `goroutine trace` for the event record at this address.")
      .def(
          "complete",
          [](PythonSession& self, const Words& words, const std::string& partial) {
            return self.call([&](Session& session) { return complete(&session, words, partial); });
          },
          py::arg("words"), py::arg("partial"))
      .def(
          "help", [](PythonSession&, const Words& words, const std::string& host) { return help_text(words, host); },
          py::arg("words") = Words{}, py::arg("host") = "python")
      .def("close", &PythonSession::close, "Lets go of the target: a process runs on.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](PythonSession& self, const py::args&) { self.close(); });
}

}  // namespace

void bind_session(py::module_& module) {
  module.def("end_warning", &end_warning, py::arg("before"), py::arg("host"),
             "What to say when the goroutine has ended during a step of the host's own.");
  py::class_<Step>(module, "Step", "A step of one goroutine whose stack may move meanwhile: see plan_step.")
      .def_property_readonly("goroutine", &Step::goroutine)
      .def_property_readonly("breakpoints", &Step::breakpoints)
      .def_property_readonly("source", &Step::from);
  module.def("move_warning", &move_warning, py::arg("before"), py::arg("after"), py::arg("host"),
             "What to say after a step of the host's own during which the stack moved; \"\" when it did not.");
  bind_session_class(module);
  module.def(
      "open_process",
      [](std::uint64_t pid, bool stop) {
        return std::make_unique<PythonSession>(value_or_raise(open_process(pid, ProcessOptions{stop})));
      },
      py::arg("pid"), py::arg("stop") = true, "A live process, stopped until the session is closed.");
  module.def(
      "open_core",
      [](const std::string& path, const std::string& exe) {
        return std::make_unique<PythonSession>(value_or_raise(open_core(path, CoreOptions{exe})));
      },
      py::arg("path"), py::arg("exe") = "", "An ELF core; exe overrides the executable that it names.");
  module.def(
      "handle_type",
      [](const std::string& type_name) -> std::optional<std::tuple<std::string, std::string, bool>> {
        std::optional<HandleType> type = handle_type(type_name);
        if (!type) return std::nullopt;
        return std::tuple(type->label, type->object, type->is_object);
      },
      py::arg("type_name"), "(label, object, is_object) of a C++ type that is a handle or what is behind one, else None.");
  module.def("commands", &command_table, "(name, arguments, summary, help) of each command of the table.");
  module.def("help", &help_text, py::arg("words") = Words{}, py::arg("host") = "python",
             "(out, err, exit_code) of `help` or `help COMMAND` as the host spells commands.");
  module.def(
      "complete", [](const Words& words, const std::string& partial) { return complete(nullptr, words, partial); },
      py::arg("words"), py::arg("partial"), "Ways to go on without a target: commands and options.");
}

}  // namespace stacktide::python

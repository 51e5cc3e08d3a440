#include "trace.h"

#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "python_session.h"
#include "stacktide/core/trace.h"
#include "values.h"

namespace py = pybind11;

namespace stacktide::python {
namespace {

using Words = std::vector<std::string>;

py::tuple collect(Trace& trace, PythonSession& session, bool at_hook, Address event, Address caller,
                  const py::dict& registers) {
  const TraceStop stop{at_hook, event, caller, to_registers(registers)};
  TraceOutput output = value_or_raise(session.call([&](Session& core) { return trace.collect(core, stop); }));
  return py::make_tuple(output.text, output.stop);
}

py::tuple show(const Trace& trace, const Words& words, const std::string& host, bool colour, bool terminal,
               std::uint32_t width, bool on) {
  const CommandOptions options{host_of(host), colour, terminal, width, 0, 0};
  CommandResult result = trace.show(words, options, on);
  return py::make_tuple(result.out, result.err, result.exit_code);
}

py::tuple check(const Trace& trace, const Words& words, const std::string& host, bool colour, std::uint64_t pid) {
  CommandOptions options;
  options.host = host_of(host);
  options.colour = colour;
  CommandResult result = trace.check(words, options, pid);
  return py::make_tuple(result.out, result.err, result.exit_code);
}

}  // namespace

void bind_trace(py::module_& module) {
  py::class_<Trace>(module, "Trace",
                    "Stack events as they happen. words: the options of `trace on`. The host stops the program at a hook "
                    "(trace_hooks()), calls collect() there and at every other stop, and prints what it returns.")
      .def(py::init([](const Words& words) { return value_or_raise(Trace::make(words)); }), py::arg("words") = Words{})
      .def_property_readonly("per_event", &Trace::per_event, "Stop at the event hook, not at the pending hook.")
      .def_property_readonly("wants_registers", &Trace::wants_registers, "collect() wants the thread's registers.")
      .def("use_event_hook", &Trace::use_event_hook, "For a runtime that has no pending hook.")
      .def("restart", &Trace::restart, "The process is another one.")
      .def(
          "skip",
          [](Trace& trace, PythonSession& session) { session.call([&](Session& core) { return trace.skip(core), true; }); },
          py::arg("session"), "What happened in the process so far is not part of the trace.")
      .def("collect", &collect, py::arg("session"), py::kw_only(), py::arg("at_hook") = false, py::arg("event") = 0,
           py::arg("caller") = 0, py::arg("registers") = py::dict(),
           "(text, stop): what is new, as lines, and whether the program is to stay stopped. event, caller: rdi and rsi at "
           "the event hook.")
      .def("show", &show, py::arg("words") = Words{}, py::kw_only(), py::arg("host") = "python", py::arg("colour") = false,
           py::arg("terminal") = false, py::arg("width") = 0, py::arg("on") = false, "`trace show`: (out, err, exit_code).")
      .def("check", &check, py::arg("words") = Words{}, py::kw_only(), py::arg("host") = "python", py::arg("colour") = false,
           py::arg("pid") = 0, "`trace check`: (out, err, exit_code); 1 when rules fail.");
  module.def(
      "trace_hooks", [] { return py::make_tuple(pending_hook().name, event_hook().name); },
      "Names of the functions that the runtime calls: when events are pending, and at each event.");
  module.def(
      "trace_usage",
      [] {
        return describe(Error{ErrorCode::usage, 0, "usage: " + std::string(trace_usage())});
      },
      "How `trace` is used, as an error says it.");
}

}  // namespace stacktide::python

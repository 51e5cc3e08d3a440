// The Python module `stacktide`: core for GDB's Python, LLDB's Python and plain python3.
//
// It holds no knowledge of its own: field names, commands, texts and errors are core's. Nothing happens at import.
#include <pybind11/pybind11.h>

#include "errors.h"
#include "host_target.h"
#include "session.h"
#include "trace.h"
#include "values.h"

PYBIND11_MODULE(stacktide, module) {
  module.doc() =
      "Looks into goroutine programs.\n\n"
      "    with stacktide.open_process(4242) as session:\n"
      "        for goroutine in session.goroutines():\n"
      "            print(goroutine.id, goroutine.status, goroutine.stack.used)\n";
  stacktide::python::bind_errors(module);
  stacktide::python::bind_values(module);
  stacktide::python::bind_host_target(module);
  stacktide::python::bind_session(module);
  stacktide::python::bind_trace(module);
}

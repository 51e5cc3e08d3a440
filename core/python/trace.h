// core's live trace as Python sees it.
#pragma once

#include <pybind11/pybind11.h>

namespace stacktide::python {

// Trace, trace_hooks and trace_usage.
void bind_trace(pybind11::module_& module);

}  // namespace stacktide::python

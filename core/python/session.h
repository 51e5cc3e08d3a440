// core's Session, commands and help as Python sees them.
#pragma once

#include <pybind11/pybind11.h>

namespace stacktide::python {

// Session, open_process, open_core, commands, help and complete.
void bind_session(pybind11::module_& module);

}  // namespace stacktide::python

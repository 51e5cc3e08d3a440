// The snapshot's structures as Python objects.
//
// Concept. One list of fields per structure, in values.cpp, makes its attributes, its `_fields`, its as_dict() and its repr.
// The names are those of snapshot.h, and so of abi.h and JSON. Objects are copies: they outlive the session.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "stacktide/core/target.h"

namespace stacktide::python {

void bind_values(pybind11::module_& module);

// {"rip": 0x..., ...}: the known registers only, in DWARF's order.
pybind11::dict to_dict(const Registers& registers);
// The inverse; names it does not know are ignored, so that a host may pass all it has.
Registers to_registers(const pybind11::dict& values);

}  // namespace stacktide::python

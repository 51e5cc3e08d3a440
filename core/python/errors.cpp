#include "errors.h"

#include <string_view>

namespace py = pybind11;

namespace stacktide::python {
namespace {

// pybind11 takes a string_view as any other str; spelled out once, as Error's attributes are set one by one.
py::str text(std::string_view view) { return {view.data(), view.size()}; }

}  // namespace

void bind_errors(py::module_& module) {
  PyObject* type =
      PyErr_NewExceptionWithDoc("stacktide.Error",
                                "What core could not do: .code, .address (0: none), .context and .hint. Its text is "
                                "the line to show.",
                                PyExc_Exception, nullptr);
  if (type == nullptr) throw py::error_already_set();
  module.attr("Error") = py::reinterpret_steal<py::object>(type);
}

void raise(const Error& error) {
  // Looked up in the module and not kept in a static: each interpreter has its own.
  py::object type = py::module_::import("stacktide").attr("Error");
  py::object instance = type(text(describe(error)));
  instance.attr("code") = text(code_name(error.code));
  instance.attr("address") = error.address;
  instance.attr("context") = text(error.context);
  instance.attr("hint") = text(hint(error.code));
  PyErr_SetObject(type.ptr(), instance.ptr());
  throw py::error_already_set();
}

}  // namespace stacktide::python

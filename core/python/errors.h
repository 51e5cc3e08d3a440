// Core's errors as Python's: stacktide.Error, whose text is core's one line.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <utility>

#include "stacktide/core/result.h"

namespace stacktide::python {

// Makes stacktide.Error, an Exception with .code ("memory_fault"), .address (0: none), .context and .hint.
void bind_errors(pybind11::module_& module);

// Raises stacktide.Error for `error`. Needs the GIL.
[[noreturn]] void raise(const Error& error);

// The value of a Result, or its error raised.
template <class T>
T value_or_raise(Result<T>&& result) {
  if (!result) raise(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace stacktide::python

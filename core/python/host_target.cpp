#include "host_target.h"

#include <pybind11/stl.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "values.h"

namespace py = pybind11;

namespace stacktide::python {
namespace {

// What hosts pass to Session when they have no object of their own.
struct Callbacks {
  py::object read_memory;
  py::object modules;
  py::object threads;
  std::uint64_t pid = 0;
  std::string description;
  std::string kind = "host";
};

TargetKind kind_of(std::string_view name) {
  if (name == "process") return TargetKind::process;
  if (name == "core") return TargetKind::core;
  if (name == "host") return TargetKind::host;
  throw py::value_error("kind is \"process\", \"core\" or \"host\"");
}

// An exception's type and the first line of its text.
std::string one_line(const py::error_already_set& error) {
  std::string text = py::cast<std::string>(error.type().attr("__name__"));
  std::string said = py::cast<std::string>(py::str(error.value()));
  said.resize(std::min(said.find('\n'), said.size()));
  return said.empty() ? text : text + ": " + said;
}

}  // namespace

void bind_host_target(py::module_& module) {
  py::class_<Module>(module, "Module", "An ELF file mapped into the target.")
      .def(py::init([](std::string path, Address load_bias, Address start, Address end, std::string file,
                       std::string build_id, std::string problem) {
             return Module{std::move(path), std::move(file), load_bias, start, end, std::move(build_id), std::move(problem)};
           }),
           py::arg("path"), py::arg("load_bias"), py::arg("start"), py::arg("end"), py::arg("file") = "",
           py::arg("build_id") = "", py::arg("problem") = "",
           "file: what to open on this machine, \"\" when there is no such file or it is another build.")
      .def_readwrite("path", &Module::path)
      .def_readwrite("file", &Module::file)
      .def_readwrite("load_bias", &Module::load_bias)
      .def_readwrite("start", &Module::start)
      .def_readwrite("end", &Module::end)
      .def_readwrite("build_id", &Module::build_id)
      .def_readwrite("problem", &Module::problem);

  py::class_<Thread>(module, "Thread", "An OS thread of the target with its registers.")
      .def(py::init([](std::uint64_t tid, std::string name, const py::dict& registers) {
             return Thread{tid, std::move(name), to_registers(registers)};
           }),
           py::arg("tid"), py::arg("name") = "", py::arg("registers") = py::dict())
      .def_readwrite("tid", &Thread::tid)
      .def_readwrite("name", &Thread::name)
      .def_property_readonly("registers", [](const Thread& self) { return to_dict(self.registers); });

  py::class_<Callbacks>(module, "HostTarget", "A target that the host reads for us; see Session.")
      .def(py::init<py::object, py::object, py::object, std::uint64_t, std::string, std::string>(), py::arg("read_memory"),
           py::arg("modules"), py::arg("threads"), py::arg("pid") = 0, py::arg("description") = "", py::arg("kind") = "host")
      .def_readwrite("read_memory", &Callbacks::read_memory)
      .def_readwrite("modules", &Callbacks::modules)
      .def_readwrite("threads", &Callbacks::threads)
      .def_readwrite("pid", &Callbacks::pid)
      .def_readwrite("description", &Callbacks::description)
      .def_readwrite("kind", &Callbacks::kind);
}

PythonTarget::PythonTarget(py::object host)
    : host_(std::move(host)),
      read_memory_(host_.attr("read_memory")),
      kind_(kind_of(py::cast<std::string>(py::getattr(host_, "kind", py::str("host"))))),
      description_(py::cast<std::string>(host_.attr("description"))),
      pid_(py::cast<std::uint64_t>(host_.attr("pid"))),
      local_pid_(py::cast<std::uint64_t>(py::getattr(host_, "local_pid", py::int_(0)))),
      core_file_(py::cast<std::string>(py::getattr(host_, "core_file", py::str("")))) {}

PythonTarget::~PythonTarget() = default;

std::size_t PythonTarget::read_up_to(Address address, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t size = read_once(address + done, out.subspan(done));
    if (size == 0) break;
    done += size;
  }
  return done;
}

std::size_t PythonTarget::read_once(Address address, std::span<std::byte> out) {
  if (interrupt_ != nullptr) return 0;
  py::gil_scoped_acquire gil;
  try {
    py::buffer bytes = read_memory_(address, out.size());
    py::buffer_info info = bytes.request();
    if (info.ndim != 1 || info.strides[0] != info.itemsize || info.size < 0) return 0;
    // More than was asked for is the host's mistake; what was asked for is still right.
    std::size_t size = std::min(static_cast<std::size_t>(info.size) * static_cast<std::size_t>(info.itemsize), out.size());
    std::memcpy(out.data(), info.ptr, size);
    return size;
  } catch (py::error_already_set& error) {
    note_failure(error);
  } catch (const py::cast_error&) {
    // Not a buffer: nothing was read.
  }
  return 0;
}

const std::vector<Module>& PythonTarget::modules() {
  if (modules_) return *modules_;
  modules_.emplace();
  py::gil_scoped_acquire gil;
  try {
    modules_ = py::cast<std::vector<Module>>(ask("modules"));
  } catch (py::error_already_set& error) {
    damage_.push_back("the host's list of modules failed: " + note_failure(error));
  } catch (const py::cast_error&) {
    damage_.emplace_back("the host's list of modules is no list of stacktide.Module");
  }
  return *modules_;
}

Result<std::vector<Thread>> PythonTarget::threads() {
  py::gil_scoped_acquire gil;
  try {
    return py::cast<std::vector<Thread>>(ask("threads"));
  } catch (py::error_already_set& error) {
    return fail(ErrorCode::io_error, "the host's list of threads failed: " + note_failure(error));
  } catch (const py::cast_error&) {
    return fail(ErrorCode::io_error, "the host's list of threads is no list of stacktide.Thread");
  }
}

std::optional<std::int64_t> PythonTarget::now() const {
  py::gil_scoped_acquire gil;
  try {
    if (py::hasattr(host_, "now")) return py::cast<std::optional<std::int64_t>>(ask("now"));
  } catch (py::error_already_set&) {
    // Not known, then.
  } catch (const py::cast_error&) {
  }
  return std::nullopt;
}

py::object PythonTarget::ask(const char* name) const {
  py::object value = host_.attr(name);
  return PyCallable_Check(value.ptr()) != 0 ? value() : value;
}

std::string PythonTarget::note_failure(py::error_already_set& error) {
  std::string text = one_line(error);
  if (!error.matches(PyExc_Exception)) interrupt_ = std::make_unique<py::error_already_set>(error);
  return text;
}

void PythonTarget::rethrow_interrupt() {
  if (interrupt_ == nullptr) return;
  py::error_already_set error = std::move(*interrupt_);
  interrupt_.reset();
  throw error;
}

}  // namespace stacktide::python

#include "values.h"

#include <pybind11/stl.h>

#include <array>
#include <string_view>
#include <utility>

#include "stacktide/core/snapshot.h"

namespace py = pybind11;

namespace stacktide::python {
namespace {

// In the order of enum class Register.
constexpr std::array<const char*, kRegisterCount> kRegisterNames = {
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"};

const char* name_of(GuardState state) { return guard_state_name(state); }
const char* name_of(TargetKind kind) { return target_kind_name(kind); }

template <class Class>
void add_field_name(Class& bound, const char* name) {
  py::list names = py::getattr(bound, "_fields", py::list());
  names.append(name);
  bound.attr("_fields") = names;
}

// Enumerations and registers are shown as plain text and dict; all else as pybind11 converts it.
template <class T, class M>
void bind_field(py::class_<T>& bound, const char* name, M T::*member) {
  if constexpr (std::is_same_v<M, GuardState> || std::is_same_v<M, TargetKind>) {
    bound.def_property_readonly(name, [member](const T& self) { return name_of(self.*member); });
  } else if constexpr (std::is_same_v<M, Registers>) {
    bound.def_property_readonly(name, [member](const T& self) { return to_dict(self.*member); });
  } else {
    bound.def_property_readonly(name, [member](const T& self) -> M { return self.*member; });
  }
  add_field_name(bound, name);
}

py::object plain(const py::handle& value) {
  if (py::hasattr(value, "as_dict")) return value.attr("as_dict")();
  if (py::isinstance<py::list>(value)) {
    py::list copy;
    for (const py::handle& item : value) copy.append(plain(item));
    return copy;
  }
  return py::reinterpret_borrow<py::object>(value);
}

void add_views(const py::object& bound) {
  bound.attr("as_dict") = py::cpp_function(
      [](const py::object& self) {
        py::dict result;
        for (const py::handle& name : self.attr("_fields")) result[name] = plain(self.attr(name));
        return result;
      },
      py::name("as_dict"), py::is_method(bound), "All fields by name, nested ones too.");
  bound.attr("__repr__") = py::cpp_function(
      [](const py::object& self) {
        std::string text = py::cast<std::string>(py::type::of(self).attr("__name__")) + "(";
        std::string_view separator;
        for (const py::handle& name : self.attr("_fields")) {
          text += separator;
          text += py::cast<std::string>(name) + "=" + py::cast<std::string>(py::repr(self.attr(name)));
          separator = ", ";
        }
        return text + ")";
      },
      py::name("__repr__"), py::is_method(bound));
}

// bind<T>(module, "T", doc, "field", &T::field, ...)
template <class T>
void bind_fields(py::class_<T>&) {}
template <class T, class M, class... Rest>
void bind_fields(py::class_<T>& bound, const char* name, M T::*member, Rest... rest) {
  bind_field(bound, name, member);
  bind_fields(bound, rest...);
}
template <class T, class... Fields>
py::class_<T> bind(py::module_& module, const char* name, const char* doc, Fields... fields) {
  py::class_<T> bound(module, name, doc);
  bind_fields(bound, fields...);
  add_views(bound);
  return bound;
}

void bind_damage(py::module_& module) {
  py::class_<Error> bound(module, "Damage", "Something in the target that could not be read or contradicts itself.");
  bound.def_property_readonly("code", [](const Error& self) { return code_name(self.code); });
  bound.def_property_readonly("text", [](const Error& self) { return describe(self); });
  add_field_name(bound, "code");
  add_field_name(bound, "text");
  bind_fields(bound, "address", &Error::address, "context", &Error::context);
  add_views(bound);
}

void bind_goroutine(py::module_& module) {
  using S = Segment;
  auto segment = bind<S>(module, "Segment", "One stretch of a goroutine's stack.", "lo", &S::lo, "hi", &S::hi, "sp", &S::sp,
                         "pc", &S::pc, "function", &S::function, "file", &S::file, "line", &S::line);
  segment.def_property_readonly("size", &S::size);
  segment.def_property_readonly("used", &S::used);
  add_field_name(segment, "size");
  add_field_name(segment, "used");

  using T = Stack;
  bind<T>(module, "Stack", "A goroutine's stack against its stackguard; sizes in bytes.", "lo", &T::lo, "hi", &T::hi,
          "guard", &T::guard, "guard_slot", &T::guard_slot, "guard_state", &T::guard_state, "sp", &T::sp, "size", &T::size,
          "used", &T::used, "headroom", &T::headroom, "high_water", &T::high_water, "segments", &T::segments, "pinned_pc",
          &T::pinned_pc, "pinned_by", &T::pinned_by, "pinned_variable", &T::pinned_variable, "pinned_type", &T::pinned_type,
          "moving_from", &T::moving_from, "moving_to", &T::moving_to);

  using G = Goroutine;
  bind<G>(module, "Goroutine", "One goroutine as it was when the target stood still.", "id", &G::id, "address", &G::address,
          "label", &G::label, "status", &G::status, "wait_reason", &G::wait_reason, "wait_ns", &G::wait_ns, "wait_object",
          &G::wait_object, "system", &G::system, "locked", &G::locked, "parent", &G::parent, "creation_pc", &G::creation_pc,
          "entry_pc", &G::entry_pc, "m", &G::m, "has_m", &G::has_m, "tid", &G::tid, "registers", &G::registers,
          "registers_live", &G::registers_live, "stack", &G::stack, "grows", &G::grows, "links", &G::links, "shrinks",
          &G::shrinks, "hot_splits", &G::hot_splits, "bytes_copied", &G::bytes_copied, "damage", &G::damage, "function",
          &G::function, "file", &G::file, "line", &G::line, "entry", &G::entry, "created_by", &G::created_by, "created_file",
          &G::created_file, "created_line", &G::created_line, "located", &G::located);
}

void bind_frames(py::module_& module) {
  using F = Frame;
  bind<F>(module, "Frame", "One level of a backtrace; inlined functions are levels of their own.", "pc", &F::pc, "sp",
          &F::sp, "cfa", &F::cfa, "size", &F::size, "segment", &F::segment, "inlined", &F::inlined, "exact_pc", &F::exact_pc,
          "runtime", &F::runtime, "function", &F::function, "symbol", &F::symbol, "offset", &F::offset, "args", &F::args,
          "file", &F::file, "line", &F::line, "module", &F::module);
  using B = Backtrace;
  bind<B>(module, "Backtrace", "Frames, innermost first; complete when they reach the goroutine's entry.", "frames",
          &B::frames, "complete", &B::complete, "stop_reason", &B::stop_reason);
}

void bind_scheduler(py::module_& module) {
  using M = Machine;
  bind<M>(module, "Machine", "An M: an OS thread of the runtime.", "id", &M::id, "address", &M::address, "tid", &M::tid,
          "status", &M::status, "goroutine", &M::goroutine, "p", &M::p, "call", &M::call, "stack_lo", &M::stack_lo,
          "stack_hi", &M::stack_hi, "guard_size", &M::guard_size, "sp", &M::sp, "damage", &M::damage);
  using P = Processor;
  bind<P>(module, "Processor", "A P: the right to run goroutines.", "id", &P::id, "address", &P::address, "status",
          &P::status, "m", &P::m, "run_next", &P::run_next, "run_queue", &P::run_queue, "ticks", &P::ticks, "damage",
          &P::damage);
  using S = Scheduler;
  bind<S>(module, "Scheduler", "The scheduler's own record.", "values", &S::values, "policy", &S::policy, "global_queue",
          &S::global_queue, "damage", &S::damage);
  using E = StackEvent;
  bind<E>(module, "StackEvent", "A stack that grew, was linked, shrank or was released.", "time", &E::time, "goroutine",
          &E::goroutine, "kind", &E::kind, "old_lo", &E::old_lo, "new_lo", &E::new_lo, "old_size", &E::old_size, "new_size",
          &E::new_size, "used", &E::used, "adjusted", &E::adjusted, "scanned", &E::scanned, "duration", &E::duration, "pc",
          &E::pc, "function", &E::function, "file", &E::file, "line", &E::line, "ring", &E::ring, "number", &E::number,
          "caller", &E::caller);
  using H = HotSplit;
  bind<H>(module, "HotSplit", "A boundary that calls crossed from one segment to another.", "pc", &H::pc, "caller",
          &H::caller, "count", &H::count, "allocated", &H::allocated, "bytes", &H::bytes, "function", &H::function, "file",
          &H::file, "line", &H::line, "caller_function", &H::caller_function, "caller_file", &H::caller_file, "caller_line",
          &H::caller_line);
}

void bind_snapshot(py::module_& module) {
  using I = StackMapsInfo;
  bind<I>(module, "StackMapsInfo", "The program's stack maps and what the runtime used them for.", "address", &I::address,
          "size", &I::size, "adjust", &I::adjust, "walks", &I::walks, "complete", &I::complete, "frames", &I::frames,
          "words_skipped", &I::words_skipped, "words_checked", &I::words_checked, "words_scanned", &I::words_scanned,
          "lookalikes", &I::lookalikes);
  using C = Counts;
  bind<C>(module, "Counts", "How many entries a list had, were read, and were skipped.", "total", &C::total, "read",
          &C::read, "skipped", &C::skipped);
  using R = Runtime;
  bind<R>(module, "Runtime", "What the descriptor says about the runtime.", "version", &R::version, "producer", &R::producer,
          "descriptor", &R::descriptor, "abi_major", &R::abi_major, "abi_minor", &R::abi_minor, "constants", &R::constants,
          "contracts", &R::contracts, "disabled", &R::disabled, "type_sizes", &R::type_sizes);
  using S = Snapshot;
  bind<S>(module, "Snapshot", "All that was found in the target.", "target", &S::target, "kind", &S::kind, "pid", &S::pid,
          "runtime", &S::runtime, "now", &S::now, "goroutines", &S::goroutines, "goroutine_counts", &S::goroutine_counts,
          "ms", &S::ms, "m_counts", &S::m_counts, "ps", &S::ps, "p_counts", &S::p_counts, "scheduler", &S::scheduler,
          "events", &S::events, "event_counts", &S::event_counts, "stack_maps", &S::stack_maps, "hot_splits", &S::hot_splits,
          "hot_split_counts", &S::hot_split_counts, "damage", &S::damage);
}

}  // namespace

py::dict to_dict(const Registers& registers) {
  py::dict result;
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    if (auto value = registers.get(static_cast<Register>(i))) result[kRegisterNames[i]] = *value;
  }
  return result;
}

Registers to_registers(const py::dict& values) {
  Registers registers;
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    if (!values.contains(kRegisterNames[i])) continue;
    registers.set(static_cast<Register>(i), py::cast<std::uint64_t>(values[kRegisterNames[i]]));
  }
  return registers;
}

void bind_values(py::module_& module) {
  bind_damage(module);
  bind_goroutine(module);
  bind_frames(module);
  bind_scheduler(module);
  bind_snapshot(module);
}

}  // namespace stacktide::python

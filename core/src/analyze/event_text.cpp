#include "analyze/event_text.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>

#include "analyze/frames.h"

namespace stacktide {

std::string place_of(std::string_view function, std::string_view file, std::uint32_t line, Address pc) {
  if (function.empty()) return fmt::format("{:#x}", pc);
  if (file.empty()) return std::string(function);
  return fmt::format("{} ({}:{})", function, base_name(file), line);
}

void append_stack_event(std::string& line, const StackEvent& event) {
  const auto out = std::back_inserter(line);
  const auto id = event.goroutine;
  // Compiled formats: a trace writes 100,000 of these while the program waits.
  if (event.kind == "grow") {
    fmt::format_to(out, FMT_COMPILE("goroutine {} grew {} -> {} bytes, used {}"), id, event.old_size, event.new_size,
                   event.used);
  } else if (event.kind == "shrink") {
    fmt::format_to(out, FMT_COMPILE("goroutine {} shrank {} -> {} bytes, used {}"), id, event.old_size, event.new_size,
                   event.used);
  } else if (event.kind == "link") {
    fmt::format_to(out, FMT_COMPILE("goroutine {} linked a segment of {} bytes, used {}"), id, event.new_size, event.used);
  } else if (event.kind == "release") {
    fmt::format_to(out, FMT_COMPILE("goroutine {} released a segment of {} bytes"), id, event.old_size);
  } else {
    fmt::format_to(out, "goroutine {} {}: {} -> {} bytes, used {}", id, event.kind, event.old_size, event.new_size,
                   event.used);
  }
}

std::string stack_event_place(const StackEvent& event, const Frame* caller) {
  auto text = fmt::format(", in {}", place_of(event.function, event.file, event.line, event.pc));
  if (caller != nullptr)
    text += fmt::format(", called from {}", place_of(caller->function, caller->file, caller->line, caller->pc));
  return text;
}

std::string describe_stack_event(const StackEvent& event, const Frame* caller) {
  std::string line;
  append_stack_event(line, event);
  if (event.pc != 0 && event.kind != "release") line += stack_event_place(event, caller);
  return line;
}

}  // namespace stacktide

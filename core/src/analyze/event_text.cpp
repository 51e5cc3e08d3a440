#include "analyze/event_text.h"

#include <fmt/format.h>

#include "analyze/frames.h"

namespace stacktide {

std::string place_of(std::string_view function, std::string_view file, std::uint32_t line, Address pc) {
  if (function.empty()) return fmt::format("{:#x}", pc);
  if (file.empty()) return std::string(function);
  return fmt::format("{} ({}:{})", function, base_name(file), line);
}

std::string describe_stack_event(const StackEvent& event, const Frame* caller) {
  std::string what;
  if (event.kind == "grow") {
    what = fmt::format("grew {} -> {} bytes", event.old_size, event.new_size);
  } else if (event.kind == "shrink") {
    what = fmt::format("shrank {} -> {} bytes", event.old_size, event.new_size);
  } else if (event.kind == "link") {
    what = fmt::format("linked a segment of {} bytes", event.new_size);
  } else if (event.kind == "release") {
    what = fmt::format("released a segment of {} bytes", event.old_size);
  } else {
    what = fmt::format("{}: {} -> {} bytes", event.kind, event.old_size, event.new_size);
  }
  auto line = fmt::format("goroutine {} {}", event.goroutine, what);
  if (event.kind != "release") line += fmt::format(", used {}", event.used);
  if (event.pc == 0 || event.kind == "release") return line;
  line += fmt::format(", in {}", place_of(event.function, event.file, event.line, event.pc));
  if (caller != nullptr)
    line += fmt::format(", called from {}", place_of(caller->function, caller->file, caller->line, caller->pc));
  return line;
}

}  // namespace stacktide

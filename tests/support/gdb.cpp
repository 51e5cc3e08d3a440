#include "support/gdb.h"

#include <fmt/format.h>

#include <stdexcept>

namespace stacktide::test {
namespace {

std::string begin_mark(std::size_t index) { return fmt::format("@@BEGIN {}@@\n", index); }
std::string end_mark(std::size_t index) { return fmt::format("@@END {}@@\n", index); }

// GDB's `echo` knows \n; it takes the rest of its line as it is.
std::string echo(std::string mark) {
  mark.pop_back();
  return "echo " + mark + "\\n";
}

}  // namespace

GdbSession::GdbSession(const std::vector<std::string>& commands, const GdbOptions& options) : commands_(commands) {
  // One stream, so that errors stand in the block of their command.
  std::vector<std::string> argv = {"sh", "-c", "exec gdb \"$@\" 2>&1", "gdb", "-nx", "-q", "-batch"};
  for (const char* setting :
       {"set debuginfod enabled off", "set width 0", "set confirm off", "set python print-stack full"}) {
    argv.insert(argv.end(), {"-iex", setting});
  }
  argv.insert(argv.end(), options.arguments.begin(), options.arguments.end());
  if (options.commands) argv.insert(argv.end(), {"-ex", "source " + gdb_script()});
  for (std::size_t i = 0; i < commands.size(); ++i) {
    argv.insert(argv.end(), {"-ex", echo(begin_mark(i)), "-ex", commands[i], "-ex", echo(end_mark(i))});
  }
  all_ = run(argv, options.timeout).out;
  std::size_t position = 0;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto begin = all_.find(begin_mark(i), position);
    const auto end = begin == std::string::npos ? begin : all_.find(end_mark(i), begin);
    if (end == std::string::npos) throw std::runtime_error(fmt::format("GDB did not finish \"{}\":\n{}", commands[i], all_));
    const auto start = begin + begin_mark(i).size();
    blocks_.push_back(all_.substr(start, end - start));
    position = end;
  }
}

const std::string& GdbSession::of(std::string_view command) const {
  for (std::size_t i = 0; i < commands_.size(); ++i) {
    if (commands_[i] == command) return blocks_[i];
  }
  throw std::runtime_error(fmt::format("this session did not run \"{}\"", command));
}

std::vector<GdbFrame> gdb_frames(std::string_view backtrace) {
  // "#4  0x... in name (arguments) at /path/park.cpp:32"; arguments may hold parentheses of their own, and so may names.
  std::vector<GdbFrame> frames;
  for (const auto& line : lines_of(backtrace)) {
    if (line.empty() || line[0] != '#') continue;
    GdbFrame frame;
    auto rest = line.substr(line.find_first_not_of(' ', line.find(' ')));
    if (rest.starts_with("0x")) rest = rest.substr(rest.find(" in ") + 4);
    frame.function = rest.substr(0, rest.find(" ("));
    if (const auto at = rest.rfind(" at "); at != std::string::npos && rest.find(' ', at + 4) == std::string::npos) {
      const auto slash = rest.rfind('/');
      frame.place = rest.substr(slash != std::string::npos && slash > at ? slash + 1 : at + 4);
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

std::string innermost(std::string_view backtrace) {
  const auto frames = gdb_frames(backtrace);
  return frames.empty() ? "" : frames.front().function;
}

std::string outermost(std::string_view backtrace) {
  const auto frames = gdb_frames(backtrace);
  return frames.empty() ? "" : frames.back().function;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string gdb_script() { return STACKTIDE_BUILD_DIR "/python/stacktide_gdb.py"; }

bool installed(std::string_view program) {
  return run({"sh", "-c", fmt::format("command -v {} >/dev/null", program)}).exit_code == 0;
}

}  // namespace stacktide::test

#include "support/lldb.h"

#include <filesystem>
#include <stdexcept>

namespace stacktide::test {
namespace {

// The LLDB that the plugin is built for; see lldb_plugin/CMakeLists.txt.
constexpr const char* kLldb = "lldb-19";
constexpr Timeout kLldbTimeout{120'000};  // it reads libc's debug info, on a machine that may be busy

}  // namespace

const std::string& LldbSession::operator[](std::size_t n) const {
  if (n < blocks.size()) return blocks[n];
  throw std::out_of_range("LLDB ended before command " + std::to_string(n) + "\n" + out + "\n" + err);
}

LldbSession lldb(const std::vector<std::string>& commands, const StartOptions& options) {
  const std::string plugin = STACKTIDE_BUILD_DIR "/lib/stacktide_lldb.so";
  if (!std::filesystem::exists(plugin)) throw std::runtime_error(plugin + " is missing: build the target stacktide_lldb");
  std::vector<std::string> argv = {
      kLldb, "--batch", "--no-lldbinit", "-o", "settings set use-color false", "-o", "plugin load " + plugin};
  for (const auto& command : commands) argv.insert(argv.end(), {"-o", command});
  Output done = run(argv, kLldbTimeout, options);
  if (done.exit_code >= 128) throw std::runtime_error("LLDB crashed\n" + done.out + "\n" + done.err);

  LldbSession session{.blocks = {}, .err = done.err, .out = done.out, .exit_code = done.exit_code};
  // Where each command's echo ends, searched in order, since an output may contain a prompt, too.
  std::size_t at = done.out.find("(lldb) plugin load ");
  std::size_t begin = std::string::npos;
  for (const auto& command : commands) {
    const std::string echo = "(lldb) " + command + "\n";
    const auto found = at == std::string::npos ? at : done.out.find(echo, at);
    if (begin != std::string::npos)
      session.blocks.push_back(done.out.substr(begin, found == std::string::npos ? found : found - begin));
    if (found == std::string::npos) return session;
    begin = found + echo.size();
    at = begin;
  }
  if (begin != std::string::npos) session.blocks.push_back(done.out.substr(begin));
  return session;
}

std::size_t occurrences(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

std::vector<std::string> frame_lines(std::string_view backtrace) {
  std::vector<std::string> frames;
  for (const auto& line : lines_of(backtrace)) {
    const bool lldb_frame = line.find("frame #") != std::string::npos;
    if (!lldb_frame && !line.starts_with("#")) continue;
    if (line.starts_with("#  ")) continue;  // core's header
    const auto at = line.rfind(" at ");
    if (at == std::string::npos) {
      const auto name = line.find_last_of(" `");
      frames.push_back(line.substr(name + 1));
      continue;
    }
    std::string place = line.substr(at + 4);
    if (const auto slash = place.rfind('/'); slash != std::string::npos) place.erase(0, slash + 1);
    // LLDB adds the column, where there is one.
    const auto colon = place.find(':');
    if (const auto column = place.find(':', colon + 1); colon != std::string::npos && column != std::string::npos)
      place.erase(column);
    frames.push_back(place);
  }
  return frames;
}

}  // namespace stacktide::test

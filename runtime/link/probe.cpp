#include "probe.h"

#include <fstream>
#include <sstream>
#include <system_error>

#include "process.h"

namespace stacktide::link {
namespace {

namespace fs = std::filesystem;

fs::path canonical(std::string_view path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(fs::path(path), error);
  return error ? fs::path(path) : result;
}

}  // namespace

ProbeAnswer read_trace(std::string_view trace) {
  constexpr std::string_view kDefinition = "definition of ";
  ProbeAnswer answer;
  while (!trace.empty()) {
    const std::size_t end = std::min(trace.find('\n'), trace.size());
    const std::string_view line = trace.substr(0, end);
    trace.remove_prefix(std::min(end + 1, trace.size()));
    if (line.empty()) continue;
    if (const std::size_t at = line.find(kDefinition); at != std::string_view::npos) {
      answer.defined.emplace(line.substr(at + kDefinition.size()));
    } else if (line.front() == '(' && line.find(')') != std::string_view::npos) {
      const std::size_t close = line.find(')');
      answer.members[canonical(line.substr(1, close - 1))].emplace(line.substr(close + 1));
    } else if (line.back() == ')' && line.find('(') != std::string_view::npos) {
      const std::size_t open = line.rfind('(');
      answer.members[canonical(line.substr(0, open))].emplace(line.substr(open + 1, line.size() - open - 2));
    } else {
      answer.files.insert(canonical(line));
    }
  }
  return answer;
}

Result<std::optional<ProbeAnswer>> probe(const CommandLine& line, const std::vector<std::string>& weak_symbols,
                                         const fs::path& directory) {
  const fs::path output = directory / "probe";
  const fs::path trace = directory / "probe.txt";
  const fs::path options = directory / "probe.rsp";
  std::vector<std::string> command = {line.driver};
  for (const Word& word : line.words) command.push_back(word.text);
  {
    std::ofstream file(options, std::ios::binary | std::ios::trunc);
    for (const std::string& symbol : weak_symbols) file << "-Wl,-y," << symbol << "\n";
    if (!file) return std::unexpected(options.string() + ": cannot be written");
  }
  command.push_back("-Wl,-t,-t");
  command.push_back("@" + options.string());
  command.push_back("-o");  // the last one counts
  command.push_back(output.string());
  const auto status = run_captured(command, trace);
  std::error_code ignored;
  fs::remove(output, ignored);
  if (!status) return std::unexpected(status.error());
  if (*status != 0) return std::nullopt;
  std::ifstream file(trace, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  fs::remove(trace, ignored);
  fs::remove(options, ignored);
  return read_trace(text.str());
}

}  // namespace stacktide::link

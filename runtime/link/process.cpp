#include "process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace stacktide::link {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

Result<int> run(const std::vector<std::string>& command, posix_spawn_file_actions_t* actions, char* const* environment) {
  pid_t pid = 0;
  const std::vector<char*> argv = pointers(command);
  if (const int error = posix_spawnp(&pid, argv[0], actions, nullptr, argv.data(), environment); error != 0) {
    return std::unexpected(command[0] + ": " + std::strerror(error));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return std::unexpected(command[0] + ": " + std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<int> run_command(const std::vector<std::string>& command) { return run(command, nullptr, environ); }

Result<int> run_captured(const std::vector<std::string>& command, const std::filesystem::path& output) {
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!text.starts_with("LC_ALL=") && !text.starts_with("LANGUAGE=")) environment.push_back(*entry);
  }
  std::string english = "LC_ALL=C";
  environment.push_back(english.data());
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const auto status = run(command, &actions, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  return status;
}

std::string replace_process(const std::vector<std::string>& command) {
  const std::vector<char*> argv = pointers(command);
  execvp(argv[0], argv.data());
  return command[0] + ": " + std::strerror(errno);
}

}  // namespace stacktide::link

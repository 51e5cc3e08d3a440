#include "target/proc_fs.h"

#include <dirent.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/mapped_file.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxThreads = 1U << 20U;

template <class T>
std::optional<T> to_number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Cuts the first line, or the text up to `separator`, off the front.
std::string_view take(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const auto head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return head;
}

// The value of a line "Name:\tvalue" of a status file; "" when there is none.
std::string_view field_of(std::string_view status, std::string_view name) {
  while (!status.empty()) {
    std::string_view line = take(status, '\n');
    if (take(line, ':') != name) continue;
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    return line;
  }
  return "";
}

std::uint64_t number_field(std::string_view status, std::string_view name, int base = 10) {
  std::string_view value = field_of(status, name);
  return to_number<std::uint64_t>(value.substr(0, value.find_first_of(" \t")), base).value_or(0);
}

// The kernel writes a line feed in a path as \012, so that each mapping stays on one line.
std::string unescape(std::string_view path) {
  std::string result;
  for (std::size_t at = 0; at < path.size(); ++at) {
    const bool line_feed = path.substr(at, 4) == "\\012";
    result += line_feed ? '\n' : path[at];
    if (line_feed) at += 3;
  }
  return result;
}

// "7f00-7f10 r-xp 00001000 08:01 1234   /usr/lib/libc.so.6"
std::optional<Region> parse_region(std::string_view line) {
  Region region;
  const auto start = to_number<Address>(take(line, '-'), 16);
  const auto end = to_number<Address>(take(line, ' '), 16);
  const std::string_view permissions = take(line, ' ');
  const auto offset = to_number<std::uint64_t>(take(line, ' '), 16);
  take(line, ' ');  // device
  take(line, ' ');  // inode
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  if (!start || !end || *start >= *end || !offset || permissions.size() < 4) return std::nullopt;
  region.start = *start;
  region.end = *end;
  region.offset = *offset;
  region.readable = permissions[0] == 'r';
  region.writable = permissions[1] == 'w';
  region.executable = permissions[2] == 'x';
  region.name = unescape(line);
  region.deleted = strip_deleted(region.name);
  return region;
}

}  // namespace

ProcessStatus parse_status(std::string_view text) {
  ProcessStatus status;
  const std::string_view state = field_of(text, "State");
  if (!state.empty()) status.state = state.front();
  status.thread_group = number_field(text, "Tgid");
  status.parent = number_field(text, "PPid");
  status.tracer = number_field(text, "TracerPid");
  status.user = number_field(text, "Uid");
  status.name = field_of(text, "Name");
  return status;
}

std::optional<ProcessStatus> read_status(const std::string& folder) {
  const auto text = read_text_file(folder + "/status", 65536);
  // A process that ends between open and read leaves an empty file.
  if (!text || text->empty()) return std::nullopt;
  return parse_status(*text);
}

std::vector<std::uint64_t> list_threads(std::uint64_t pid) {
  std::vector<std::uint64_t> threads;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(fmt::format("/proc/{}/task", pid).c_str()),
                                                   [](DIR* dir) { return ::closedir(dir); });
  if (folder == nullptr) return threads;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (const auto tid = to_number<std::uint64_t>(entry->d_name); tid && threads.size() < kMaxThreads)
      threads.push_back(*tid);
  }
  std::ranges::stable_partition(threads, [pid](std::uint64_t tid) { return tid == pid; });
  return threads;
}

std::vector<Mapping> parse_maps(std::string_view text) {
  std::vector<Mapping> mappings;
  for (Region& region : parse_regions(text)) {
    if (!region.name.starts_with('/') && region.name != "[vdso]") continue;
    mappings.push_back({.start = region.start,
                        .end = region.end,
                        .offset = region.offset,
                        .executable = region.executable,
                        .deleted = region.deleted,
                        .path = std::move(region.name)});
  }
  return mappings;
}

std::vector<Region> parse_regions(std::string_view text) {
  std::vector<Region> regions;
  while (!text.empty()) {
    if (auto region = parse_region(take(text, '\n'))) regions.push_back(*std::move(region));
  }
  return regions;
}

// The 39th field of stat (proc(5), "processor"); the second, the name in parentheses, may hold anything.
std::optional<std::uint32_t> last_cpu(std::uint64_t pid, std::uint64_t tid) {
  const auto text = read_text_file(fmt::format("/proc/{}/task/{}/stat", pid, tid), 4096);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  const auto name_end = rest.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 > rest.size()) return std::nullopt;
  rest.remove_prefix(name_end + 2);
  constexpr int kBefore = 39 - 3;
  for (int i = 0; i < kBefore; ++i) take(rest, ' ');
  return to_number<std::uint32_t>(take(rest, ' '));
}

std::string explain_refusal(const AccessFacts& facts) {
  const std::string who = fmt::format("process {}", facts.pid);
  if (facts.ptrace_scope >= 3) {
    return who + " cannot be looked into: kernel.yama.ptrace_scope is 3, which forbids it to everybody until the next boot";
  }
  if (facts.can_ptrace) {
    return who +
           " cannot be looked into although CAP_SYS_PTRACE is there: it lives in another user namespace, or a security "
           "module or seccomp "
           "forbids it; run this on its host, as root";
  }
  if (facts.own_user == 0) {
    return who + " cannot be looked into: root lacks CAP_SYS_PTRACE here; grant it (in a container: --cap-add=SYS_PTRACE)";
  }
  if (facts.own_user != facts.target_user) {
    return fmt::format("{} belongs to user {} and this is user {}: run as that user or as root", who, facts.target_user,
                       facts.own_user);
  }
  if (facts.ptrace_scope == 2) {
    return who +
           " cannot be looked into: kernel.yama.ptrace_scope is 2; run as root, grant CAP_SYS_PTRACE, or set it to 0 by "
           "`sysctl kernel.yama.ptrace_scope=0`";
  }
  if (facts.ptrace_scope == 1) {
    return who +
           " cannot be looked into: kernel.yama.ptrace_scope is 1, which allows own children only; run as root, grant "
           "CAP_SYS_PTRACE, or set "
           "it to 0 by `sysctl kernel.yama.ptrace_scope=0`";
  }
  return who + " is not dumpable (set-uid, with capabilities, or by its own request): run as root";
}

Error permission_error(std::uint64_t pid) {
  AccessFacts facts{.pid = pid, .own_user = ::geteuid()};
  if (const auto target = read_status(fmt::format("/proc/{}", pid))) facts.target_user = target->user;
  if (const auto own = read_text_file("/proc/self/status", 65536)) {
    facts.can_ptrace = (number_field(*own, "CapEff", 16) >> CAP_SYS_PTRACE & 1U) != 0;
  }
  if (const auto scope = read_text_file("/proc/sys/kernel/yama/ptrace_scope", 64)) {
    facts.ptrace_scope = to_number<int>(std::string_view(*scope).substr(0, scope->find('\n'))).value_or(0);
  }
  return Error{ErrorCode::permission_denied, 0, explain_refusal(facts)};
}

}  // namespace stacktide

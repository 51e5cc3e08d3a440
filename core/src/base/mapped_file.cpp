#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace stacktide {
namespace {

std::unexpected<Error> system_error(const std::string& path, int reason) {
  return fail(ErrorCode::io_error, fmt::format("{}: {}", path, std::strerror(reason)));
}

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: the path may come from a core, and opening a FIFO would wait for its writer.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return system_error(path, errno);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return system_error(path, errno);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::io_error, fmt::format("{}: not a regular file", path));
  MappedFile file;
  if (info.st_size == 0) return file;
  const auto size = static_cast<std::size_t>(info.st_size);
  const void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (start == MAP_FAILED) return system_error(path, errno);
  file.bytes_ = {static_cast<const std::byte*>(start), size};
  return file;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Result<std::string> read_text_file(const std::string& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return system_error(path, errno);
  std::string text;
  std::array<char, 65536> buffer;
  while (text.size() < limit) {
    const auto got = ::read(fd.get(), buffer.data(), std::min(buffer.size(), limit - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, errno);
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace stacktide

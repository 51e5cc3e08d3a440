// A regular file opened and mapped for reading, as a value that closes itself.
//
// The mapping lives as long as the object. A file that another program shortens while it is mapped raises SIGBUS in whoever
// reads past its new end; linkers and package managers replace files instead, which leaves the mapping whole.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "stacktide/core/result.h"

namespace stacktide {

// A file descriptor that closes itself; -1 is none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd();
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

class MappedFile {
 public:
  // io_error names the path and the reason: missing, not permitted, a folder or a device.
  static Result<MappedFile> open(const std::string& path);
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  std::span<const std::byte> bytes() const { return bytes_; }  // empty for an empty file

 private:
  std::span<const std::byte> bytes_;
};

// The first `limit` bytes of a file whose size is not known beforehand, such as those under /proc; io_error when it cannot
// be read.
Result<std::string> read_text_file(const std::string& path, std::size_t limit);

}  // namespace stacktide

// Memory made of bytes put down by hand. Whatever was not put down is absent: holes are the default.
#pragma once

#include <cstring>
#include <map>

#include "stacktide/core/target.h"

namespace stacktide::test {

class FakeMemory : public Memory {
 public:
  template <class T>
  void put(Address address, const T& value) {
    put_bytes(address, std::as_bytes(std::span(&value, 1)));
  }
  void put_bytes(Address address, std::span<const std::byte> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes_[address + i] = bytes[i];
  }
  void punch(Address address, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) bytes_.erase(address + i);
  }
  std::size_t read_up_to(Address address, std::span<std::byte> out) override {
    std::size_t done = 0;
    for (; done < out.size(); ++done) {
      auto found = bytes_.find(address + done);
      if (found == bytes_.end()) break;
      out[done] = found->second;
    }
    return done;
  }

 private:
  std::map<Address, std::byte> bytes_;
};

}  // namespace stacktide::test

// stacktide-link's readers: an object file, or an archive of some.
#include "calls.h"
#include "movable.h"
#include "object.h"

namespace {

void read_object(stacktide::link::Bytes bytes) {
  auto object = stacktide::link::Object::parse(bytes, "fuzz.o");
  if (!object) return;
  std::set<std::string, std::less<>> defined;
  stacktide::link::add_definitions(*object, defined);
  (void)stacktide::link::is_lto_goroutine_object(*object);
  if (!object->sections().empty()) (void)stacktide::link::with_code_in(*object, stacktide::link::kMovableSection);
  if (auto calls = stacktide::link::collect_calls({*object}, {})) (void)stacktide::link::check_calls(*calls);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const stacktide::link::Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  read_object(bytes);
  std::vector<stacktide::link::MappedFile> files;
  const bool thin = size > 2 && data[2] == 't';  // would open files that the bytes name
  if (!stacktide::link::is_archive(bytes) || thin) return 0;
  if (const auto members = stacktide::link::archive_members(bytes, "fuzz.a", files)) {
    for (const auto& member : *members) read_object(member.bytes);
  }
  return 0;
}

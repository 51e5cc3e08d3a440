#include "descriptor/descriptor.h"

#include <fmt/format.h>
#include <zlib.h>

#include <bit>
#include <cstring>
#include <set>
#include <tuple>
#include <utility>

#include "stacktide/abi.h"

namespace stacktide {
namespace {

// One validation of one block. Each step returns the error of the first check that fails.
class Validator {
 public:
  Validator(const stacktide_header& header, std::span<const std::byte> block) : header_(header), block_(block) {
    descriptor_.address = header.self_address;
    descriptor_.abi_major = header.abi_major;
    descriptor_.abi_minor = header.abi_minor;
  }

  Result<Descriptor> run() && {
    STACKTIDE_TRY(checksum());
    STACKTIDE_TRY(tables());
    STACKTIDE_TRY(types());
    STACKTIDE_TRY(fields());
    STACKTIDE_TRY(enums());
    STACKTIDE_TRY(constants());
    STACKTIDE_TRY(contracts());
    STACKTIDE_TRY(roots());
    return std::move(descriptor_);
  }

 private:
  // The value is of no interest; it makes Result usable with STACKTIDE_TRY.
  using Check = Result<bool>;

  std::unexpected<Error> bad(std::string what) const {
    return fail(ErrorCode::bad_descriptor, "descriptor: " + std::move(what), header_.self_address);
  }

  bool inside(std::uint64_t offset, std::uint64_t size) const {
    return offset <= block_.size() && size <= block_.size() - offset;
  }

  Check checksum() const {
    if (header_.constant_offset < header_.header_size || !inside(header_.constant_offset, header_.constant_size)) {
      return bad("the constant part lies outside the block");
    }
    const auto part = block_.subspan(header_.constant_offset, header_.constant_size);
    const auto found = crc32(0, reinterpret_cast<const Bytef*>(part.data()), static_cast<uInt>(part.size()));
    if (found != header_.checksum) return bad(fmt::format("checksum is {:08x}, {:08x} expected", found, header_.checksum));
    return true;
  }

  Check table(std::string_view name, const stacktide_table& table, std::size_t entry) const {
    if (table.count == 0) return true;
    if (table.stride < entry)
      return bad(fmt::format("{} entries of {} bytes, at least {} expected", name, table.stride, entry));
    if (table.offset < header_.header_size || !inside(table.offset, std::uint64_t{table.count} * table.stride)) {
      return bad(fmt::format("table {} lies outside the block", name));
    }
    return true;
  }

  Check tables() const {
    STACKTIDE_TRY(table("types", header_.types, sizeof(stacktide_type)));
    STACKTIDE_TRY(table("fields", header_.fields, sizeof(stacktide_field)));
    STACKTIDE_TRY(table("enums", header_.enums, sizeof(stacktide_enum)));
    STACKTIDE_TRY(table("constants", header_.constants, sizeof(stacktide_constant)));
    STACKTIDE_TRY(table("contracts", header_.contracts, sizeof(stacktide_contract)));
    STACKTIDE_TRY(table("names", header_.names, 1));
    if (header_.names.count != 0 && header_.names.stride != 1) return bad("names are not bytes");
    return table("roots", header_.roots, sizeof(stacktide_root));
  }

  template <class Entry>
  Entry entry(const stacktide_table& table, std::uint32_t index) const {
    Entry value;
    std::memcpy(&value, block_.data() + table.offset + std::size_t{index} * table.stride, sizeof value);
    return value;
  }

  Result<std::string> name(std::uint32_t offset, std::string_view of, bool may_be_empty = false) const {
    if (offset >= header_.names.count) return bad(fmt::format("the name of {} lies outside the names", of));
    const auto* begin = reinterpret_cast<const char*>(block_.data()) + header_.names.offset + offset;
    const auto* end = static_cast<const char*>(std::memchr(begin, 0, header_.names.count - offset));
    if (end == nullptr) return bad(fmt::format("the name of {} does not end", of));
    std::string text(begin, end);
    if (text.empty() && !may_be_empty) return bad(fmt::format("{} has no name", of));
    for (const char c : text) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
        return bad(fmt::format("the name of {} holds control characters", of));
    }
    return text;
  }

  Check types() {
    std::set<std::string> seen;
    for (std::uint32_t i = 0; i < header_.types.count; ++i) {
      const auto raw = entry<stacktide_type>(header_.types, i);
      auto text = STACKTIDE_TRY(name(raw.name, fmt::format("type {}", i)));
      if (raw.size == 0 || raw.size > kMaxTypeSize) return bad(fmt::format("type {} of {} bytes", text, raw.size));
      if (!seen.insert(text).second) return bad(fmt::format("type {} is there twice", text));
      descriptor_.types.push_back({std::move(text), raw.size});
    }
    return true;
  }

  Check fields() {
    std::set<std::pair<std::uint32_t, std::string>> seen;
    for (std::uint32_t i = 0; i < header_.fields.count; ++i) {
      const auto raw = entry<stacktide_field>(header_.fields, i);
      auto text = STACKTIDE_TRY(name(raw.name, fmt::format("field {}", i)));
      if (raw.type >= descriptor_.types.size())
        return bad(fmt::format("field {} belongs to type {} of {}", text, raw.type, descriptor_.types.size()));
      const auto& type = descriptor_.types[raw.type];
      if (raw.width == 0 || std::uint64_t{raw.offset} + raw.width > type.size) {
        return bad(
            fmt::format("field {}.{} at {}, {} bytes, in a type of {}", type.name, text, raw.offset, raw.width, type.size));
      }
      if (!width_fits(raw))
        return bad(fmt::format("field {}.{} of kind {} is {} bytes wide", type.name, text, raw.kind, raw.width));
      if (!seen.emplace(raw.type, text).second) return bad(fmt::format("field {}.{} is there twice", type.name, text));
      descriptor_.fields.push_back({raw.type, std::move(text), raw.offset, raw.width, raw.kind});
    }
    return true;
  }

  static bool width_fits(const stacktide_field& field) {
    switch (field.kind) {
      case STACKTIDE_KIND_UNSIGNED:
      case STACKTIDE_KIND_SIGNED:
      case STACKTIDE_KIND_ENUM:
        return std::has_single_bit(field.width) && field.width <= 8;
      case STACKTIDE_KIND_ADDRESS:
        return field.width == 8;
      case STACKTIDE_KIND_ADDRESSES:
        return field.width % 8 == 0;
      default:
        return true;  // text is of any width; of an unknown kind nothing is known
    }
  }

  Check enums() {
    for (std::uint32_t i = 0; i < header_.enums.count; ++i) {
      const auto raw = entry<stacktide_enum>(header_.enums, i);
      const auto text = STACKTIDE_TRY(name(raw.name, fmt::format("enumerator {}", i)));
      auto shown = STACKTIDE_TRY(name(raw.text, fmt::format("the text of enumerator {}", i), true));
      if (!descriptor_.enums[text].emplace(raw.value, std::move(shown)).second) {
        return bad(fmt::format("enumeration {} has two texts for {}", text, raw.value));
      }
    }
    return true;
  }

  Check constants() {
    for (std::uint32_t i = 0; i < header_.constants.count; ++i) {
      const auto raw = entry<stacktide_constant>(header_.constants, i);
      const auto text = STACKTIDE_TRY(name(raw.name, fmt::format("constant {}", i)));
      if (!descriptor_.constants.emplace(text, raw.value).second)
        return bad(fmt::format("constant {} is there twice", text));
    }
    return true;
  }

  Check contracts() {
    for (std::uint32_t i = 0; i < header_.contracts.count; ++i) {
      const auto raw = entry<stacktide_contract>(header_.contracts, i);
      const auto text = STACKTIDE_TRY(name(raw.name, fmt::format("contract {}", i)));
      if (!descriptor_.contracts.emplace(text, raw.version).second)
        return bad(fmt::format("contract {} is there twice", text));
    }
    return true;
  }

  Check roots() {
    std::set<std::string> seen;
    for (std::uint32_t i = 0; i < header_.roots.count; ++i) {
      const auto raw = entry<stacktide_root>(header_.roots, i);
      auto text = STACKTIDE_TRY(name(raw.name, fmt::format("root {}", i)));
      if (!seen.insert(text).second) return bad(fmt::format("root {} is there twice", text));
      if (raw.type != STACKTIDE_NO_TYPE) {
        if (raw.type >= descriptor_.types.size())
          return bad(fmt::format("root {} is of type {} of {}", text, raw.type, descriptor_.types.size()));
        const auto size = descriptor_.types[raw.type].size;
        if (raw.stride < size)
          return bad(fmt::format("root {} has a stride of {}, its type {} bytes", text, raw.stride, size));
        if (raw.stride > kMaxTypeSize) return bad(fmt::format("root {} has a stride of {}", text, raw.stride));
      }
      descriptor_.roots.push_back({std::move(text), raw.type, raw.address, raw.stride, raw.count});
    }
    return true;
  }

  const stacktide_header& header_;
  std::span<const std::byte> block_;
  Descriptor descriptor_;
};

}  // namespace

const Descriptor::Root* Descriptor::root(std::string_view name) const {
  for (const auto& root : roots) {
    if (root.name == name) return &root;
  }
  return nullptr;
}

Result<Descriptor> read_descriptor(Memory& memory, Address address) {
  const auto header = STACKTIDE_TRY(memory.read_value<stacktide_header>(address));
  const auto bad = [&](std::string what) {
    return fail(ErrorCode::bad_descriptor, "descriptor: " + std::move(what), address);
  };
  if (header.magic == __builtin_bswap64(STACKTIDE_MAGIC)) {
    return fail(ErrorCode::unsupported_target, "the runtime is of the other byte order", address);
  }
  if (header.magic != STACKTIDE_MAGIC)
    return bad(fmt::format("magic is {:016x}, {:016x} expected", header.magic, STACKTIDE_MAGIC));
  if (header.abi_major != STACKTIDE_ABI_MAJOR) {
    return fail(ErrorCode::unsupported_contract,
                fmt::format("the runtime speaks ABI {}.{}, this stacktide {}.{}", header.abi_major, header.abi_minor,
                            STACKTIDE_ABI_MAJOR, STACKTIDE_ABI_MINOR),
                address);
  }
  if (header.pointer_size != 8) {
    return fail(ErrorCode::unsupported_target, fmt::format("the runtime has pointers of {} bytes", header.pointer_size),
                address);
  }
  if (header.header_size < sizeof header || header.header_size > header.total_size) {
    return bad(fmt::format("header of {} bytes in a block of {}", header.header_size, header.total_size));
  }
  if (header.total_size > STACKTIDE_MAX_DESCRIPTOR)
    return bad(fmt::format("{} bytes, at most {} expected", header.total_size, STACKTIDE_MAX_DESCRIPTOR));
  // The runtime writes it when it starts.
  if (header.self_address == 0) return fail(ErrorCode::not_started, "the goroutine runtime has not started yet");
  if (header.self_address != address) return bad(fmt::format("it says that it lies at {:#x}", header.self_address));

  std::vector<std::byte> block(header.total_size);
  if (auto done = memory.read(address, block); !done) return std::unexpected(done.error());
  return Validator(header, block).run();
}

}  // namespace stacktide

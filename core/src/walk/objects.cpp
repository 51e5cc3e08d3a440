#include "walk/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "descriptor/record.h"
#include "walk/walker.h"

namespace stacktide {
namespace {

// More goroutines are told by their number alone.
constexpr std::size_t kNamed = 10;
// make() refuses more.
constexpr std::uint64_t kMaxCapacity = std::uint64_t{1} << 32;

class ObjectReader {
 public:
  ObjectReader(Memory& memory, const Descriptor& descriptor, const Layout& layout)
      : memory_(memory), descriptor_(descriptor), layout_(layout) {}

  Result<ObjectReport> read(std::string_view type, Address address) {
    ObjectReport report;
    report.type = type;
    report.address = address;
    if (type == "channel") {
      if (address != 0) STACKTIDE_TRY(channel(report));
    } else if (type == "mutex") {
      STACKTIDE_TRY(mutex(report));
    } else if (type == "wait_group") {
      STACKTIDE_TRY(wait_group(report));
    } else if (type == "poll_descriptor") {
      STACKTIDE_TRY(poll_descriptor(report));
    } else {
      return fail(ErrorCode::usage, fmt::format("'{}' is not channel, mutex, wait_group or poll_descriptor", type));
    }
    return report;
  }

 private:
  Result<std::vector<std::byte>> bytes(const char* what, std::uint32_t size, Address address) {
    std::vector<std::byte> bytes(size);
    if (auto done = memory_.read(address, bytes); !done) {
      return fail(done.error().code, fmt::format("the {} is not readable", what), done.error().address);
    }
    return bytes;
  }

  static std::unexpected<Error> wrong(const ObjectReport& report, std::string why) {
    return fail(ErrorCode::damaged_data, fmt::format("no {} is there: {}", report.type, why), report.address);
  }

  Result<void> channel(ObjectReport& report) {
    const auto& fields = layout_.channel;
    const auto raw = STACKTIDE_TRY(bytes("channel", fields.record_size, report.address));
    const Record record(raw);
    report.capacity = record.number(fields.capacity);
    report.length = record.number(fields.length);
    const auto closed = record.number(fields.closed);
    const auto head = record.number(fields.head);
    const auto ring = record.number(fields.ring);
    if (report.capacity > kMaxCapacity || report.length > report.capacity)
      return wrong(report, fmt::format("it would hold {} of {} values", report.length, report.capacity));
    if (closed > 1) return wrong(report, fmt::format("closed would be {}", closed));
    if (report.capacity != 0 && (head >= report.capacity || ring == 0))
      return wrong(report, fmt::format("its ring at {:#x} would begin with value {} of {}", ring, head, report.capacity));
    report.closed = closed != 0;
    for (std::uint64_t i = 0; i < std::min(report.length, kMaxValues); ++i)
      report.values.push_back(ring + (head + i) % report.capacity * 8);
    report.receivers = queue(record, fields.receivers, report.address);
    report.senders = queue(record, fields.senders, report.address);
    return {};
  }

  Result<void> mutex(ObjectReport& report) {
    const auto& fields = layout_.mutex;
    const auto raw = STACKTIDE_TRY(bytes("mutex", fields.record_size, report.address));
    const Record record(raw);
    constexpr std::uint64_t kBits = 0xf;  // more than our own runtime has use for
    const auto word = record.number(fields.word);
    const auto starving = record.number(fields.starving);
    if (word > kBits || starving > 1) return wrong(report, fmt::format("its word would be {:#x}", word));
    const auto bit = descriptor_.constants.find("mutex_locked");
    if (bit == descriptor_.constants.end()) return fail(ErrorCode::not_supported, "the runtime exports no mutex_locked");
    report.locked = (word & static_cast<std::uint64_t>(bit->second)) != 0;
    report.waiters = queue(record, fields.waiters, report.address);
    return {};
  }

  Result<void> wait_group(ObjectReport& report) {
    const auto& fields = layout_.wait_group;
    const auto raw = STACKTIDE_TRY(bytes("wait_group", fields.record_size, report.address));
    const Record record(raw);
    report.count = record.signed_number(fields.count);
    if (report.count < 0) return wrong(report, fmt::format("its counter would be {}", report.count));
    report.waiters = queue(record, fields.waiters, report.address);
    return {};
  }

  Result<void> poll_descriptor(ObjectReport& report) {
    const auto& fields = layout_.poll_descriptor;
    if (fields.record_size == 0) return fail(ErrorCode::not_supported, "the runtime exports no poll_descriptor");
    const auto raw = STACKTIDE_TRY(bytes("poll descriptor", fields.record_size, report.address));
    report.fd = Record(raw).signed_number(fields.fd);
    if (report.fd < 0) return wrong(report, fmt::format("its file descriptor would be {}", report.fd));
    return {};
  }

  // A queue in place in the record at `address`.
  Waiting queue(const Record& owner, const FieldRef& field, Address address) {
    Waiting waiting;
    const auto& fields = layout_.wait_queue;
    if (fields.record_size > field.width) {
      waiting.problem = "its queue is of unknown layout";
      return waiting;
    }
    const auto at = [&](FieldRef inner) {
      inner.offset += field.offset;
      return owner.number(inner);
    };
    const auto length = at(fields.length);
    if (length > kMaxGoroutines) {
      waiting.problem = fmt::format("its queue at {:#x} would hold {}", address + field.offset, length);
      return waiting;
    }
    follow(at(fields.first), length, waiting);
    return waiting;
  }

  void follow(Address waiter, std::uint64_t length, Waiting& waiting) {
    const auto& fields = layout_.waiter;
    std::unordered_set<Address> visited;
    std::uint64_t seen = 0;
    std::vector<std::byte> raw(fields.record_size);
    for (; waiter != 0 && waiting.problem.empty(); ++seen) {
      if (seen == kMaxWalked) break;
      if (!visited.insert(waiter).second) {
        waiting.problem = fmt::format("its queue comes back to {:#x}", waiter);
        break;
      }
      if (auto done = memory_.read(waiter, raw); !done) {
        waiting.problem = fmt::format("a waiter at {:#x} is not readable", waiter);
        break;
      }
      const Record record(raw);
      if (!is_decided(record.number(fields.decided))) count(record.number(fields.goroutine), waiter, waiting);
      waiter = record.number(fields.next);
    }
    if (seen < kMaxWalked && waiter == 0 && seen != length && waiting.problem.empty())
      waiting.problem = fmt::format("its queue has {} of the {} that it counts", seen, length);
    if (length > seen) waiting.count += length - seen;
  }

  void count(Address goroutine, Address waiter, Waiting& waiting) {
    ++waiting.count;
    const auto id = id_of(goroutine);
    if (id == 0) {
      waiting.problem = fmt::format("the waiter at {:#x} belongs to no goroutine", waiter);
    } else if (waiting.goroutines.size() < kNamed) {
      waiting.goroutines.push_back(id);
    }
  }

  // Not readable: as a waiter that counts, since it is in the queue.
  bool is_decided(Address flag) {
    if (flag == 0) return false;
    const auto byte = memory_.read_value<std::uint8_t>(flag);
    return byte && *byte != 0;
  }

  std::uint64_t id_of(Address goroutine) {
    const auto& id = layout_.goroutine.id;
    std::array<std::byte, 8> raw{};
    if (goroutine == 0 || id.width > raw.size() || !memory_.read(goroutine + id.offset, std::span(raw).first(id.width)))
      return 0;
    return Record(raw).number({0, id.width, id.kind});
  }

  Memory& memory_;
  const Descriptor& descriptor_;
  const Layout& layout_;
};

}  // namespace

Result<ObjectReport> read_wait_object(Memory& memory, const Descriptor& descriptor, const Layout& layout,
                                      std::string_view type, Address address) {
  if (!layout.wait_objects) {
    return fail(ErrorCode::not_supported, fmt::format("this runtime does not export what a {} is", type));
  }
  return ObjectReader(memory, descriptor, layout).read(type, address);
}

std::string_view wait_object_type(const Descriptor& descriptor, std::string_view wait_reason) {
  const auto* reasons = enum_texts(descriptor, "goroutine", "wait_reason");
  const auto* types = enum_texts(descriptor, "goroutine", "wait_object");
  if (reasons == nullptr || types == nullptr || wait_reason.empty()) return "";
  const auto reason = std::ranges::find(*reasons, wait_reason, [](const auto& entry) { return entry.second; });
  if (reason == reasons->end()) return "";
  const auto type = types->find(reason->first);
  return type == types->end() ? std::string_view() : type->second;
}

}  // namespace stacktide

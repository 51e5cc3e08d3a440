#include "view/pprof.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "view/recording.h"

namespace stacktide {
namespace {

// ---- Protobuf's wire format ----

class Message {
 public:
  void number(unsigned field, std::uint64_t value) {
    if (value == 0) return;  // what is absent is 0
    varint(field << 3U);
    varint(value);
  }
  void bytes(unsigned field, std::string_view value) {
    varint(field << 3U | 2U);
    varint(value.size());
    bytes_ += value;
  }
  void message(unsigned field, const Message& value) { bytes(field, value.bytes_); }
  void packed(unsigned field, std::span<const std::uint64_t> values) {
    Message all;
    for (const auto value : values) all.varint(value);
    message(field, all);
  }
  const std::string& text() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>(value | 0x80U);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

// ---- profile.proto, with the field numbers there ----

class Profile {
 public:
  Profile(const Recording& recording, TraceNames& names) : recording_(recording), names_(names) { string(""); }

  void sample_type(std::string_view type, std::string_view unit) {
    Message value;
    value.number(1, string(type));
    value.number(2, string(unit));
    profile_.message(1, value);
  }

  void sample(std::uint32_t chain, std::uint64_t entry, std::span<const std::uint64_t> values) {
    std::vector<std::uint64_t> locations;
    const auto pcs = names_.chain(chain);
    for (std::size_t i = 0; i < pcs.size(); ++i) locations.push_back(location(pcs[i], i == 0));
    Message value;
    value.packed(1, locations);
    value.packed(2, values);
    if (const auto place = names_.entry(entry); !place.function.empty()) {
      Message label;
      label.number(1, string("entry"));
      label.number(2, string(place.function));
      value.message(3, label);
    }
    profile_.message(2, value);
  }

  std::string finish(std::string_view default_type) {
    const auto& info = recording_.info();
    for (std::size_t i = 0; i < recording_.modules().size(); ++i) {
      const auto& module = recording_.modules()[i];
      Message mapping;
      mapping.number(1, i + 1);
      mapping.number(2, module.start);
      mapping.number(3, module.end);
      mapping.number(4, module.start - module.load_bias);
      mapping.number(5, string(module.path));
      mapping.number(6, string(module.build_id));
      // It has all names that there are: pprof is not to look for more.
      for (unsigned field = 7; field <= 10; ++field) mapping.number(field, 1);
      profile_.message(3, mapping);
    }
    profile_.number(9, static_cast<std::uint64_t>(std::max<std::int64_t>(0, info.header.started_realtime)));
    profile_.number(10, static_cast<std::uint64_t>(std::max<std::int64_t>(0, info.last - origin_of(info))));
    profile_.number(14, string(default_type));
    for (const auto& text : strings_) profile_.bytes(6, text);
    return profile_.text();
  }

 private:
  std::uint64_t string(std::string_view text) {
    const auto [found, fresh] = numbers_.try_emplace(std::string(text), strings_.size());
    if (fresh) strings_.emplace_back(text);
    return found->second;
  }

  std::uint64_t function(const TraceLevel& level, std::uint64_t pc) {
    const auto name = level.function.empty() ? hex(pc) : level.function;
    const auto key = std::pair(name, level.file);
    const auto [found, fresh] = functions_.try_emplace(key, functions_.size() + 1);
    if (!fresh) return found->second;
    Message value;
    value.number(1, found->second);
    value.number(2, string(name));
    value.number(3, string(level.symbol.empty() ? name : level.symbol));
    value.number(4, string(level.file));
    profile_.message(5, value);
    return found->second;
  }

  // `innermost`: of the function that needed room, whose check stands in its prologue, whatever is inlined there.
  std::uint64_t location(std::uint64_t pc, bool innermost) {
    const auto [found, fresh] = locations_.try_emplace({pc, innermost}, locations_.size() + 1);
    if (!fresh) return found->second;
    Message value;
    value.number(1, found->second);
    const auto& modules = recording_.modules();
    const auto inside = pc == 0 ? 0 : pc - 1;  // in the call, not behind it
    const auto module = std::ranges::find_if(modules, [&](const Module& m) { return inside >= m.start && inside < m.end; });
    if (module != modules.end()) value.number(2, static_cast<std::uint64_t>(module - modules.begin()) + 1);
    value.number(3, inside);
    const std::span levels = names_.levels(pc, false);
    for (const auto& level : innermost ? levels.last(1) : levels) {
      Message line;
      line.number(1, function(level, pc));
      line.number(2, level.line);
      value.message(4, line);
    }
    profile_.message(4, value);
    return found->second;
  }

  const Recording& recording_;
  TraceNames& names_;
  Message profile_;
  std::vector<std::string> strings_;
  std::unordered_map<std::string, std::uint64_t> numbers_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> functions_;
  std::map<std::pair<std::uint64_t, bool>, std::uint64_t> locations_;
};

Result<std::string> gzip(std::string_view text) {
  constexpr int kGzip = 15 + 16;  // the largest window, with gzip's header
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(ErrorCode::not_supported, "zlib refuses to compress the profile");
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const auto done = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (done != Z_STREAM_END) return fail(ErrorCode::not_supported, "zlib could not compress the profile");
  return out;
}

}  // namespace

void GrowthProfile::add(const TraceRecord& record, const TraceContext& context) {
  if (record.kind() < STACKTIDE_TRACE_GROW || record.kind() > STACKTIDE_TRACE_RELEASE) return;
  const auto& event = record.as<stacktide_trace_stack>();
  if (record.kind() != STACKTIDE_TRACE_RELEASE) {
    ++all_;
    timed_ += event.duration != 0 ? 1 : 0;
  }
  sums_[{context.chain, context.entry}].count(event, context.size, false);
}

Result<std::string> GrowthProfile::encode(const Recording& recording, TraceNames& names) const {
  Profile profile(recording, names);
  profile.sample_type("events", "count");
  profile.sample_type("bytes_copied", "bytes");
  profile.sample_type("growth_time", "nanoseconds");
  profile.sample_type("longest", "nanoseconds");
  for (const auto& [key, growth] : sums_) {
    profile.sample(key.first, key.second,
                   std::vector<std::uint64_t>{growth.events(), growth.bytes_copied, growth.nanoseconds, growth.longest});
  }
  // Links to a segment that was kept are not timed; where most are such, their number says more than the others' time.
  return gzip(profile.finish(2 * timed_ >= all_ ? "growth_time" : "events"));
}

}  // namespace stacktide

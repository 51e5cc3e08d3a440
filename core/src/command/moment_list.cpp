// The output of `list --json`, `list --json=lines` or `bt all --json` as a moment.
//
// Concept. The text is never a tree: a handler of events (SAX) fills one Goroutine, passes it on at its end, and forgets it.
// It knows where it is by the keys of the objects that are open. A line of `--json=lines` is a document of its own, either a
// goroutine or, at the end, the head.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "analyze/frames.h"
#include "base/printable.h"
#include "command/moments.h"

namespace stacktide {
namespace {

class ListReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ListReader(const MomentWish& wish) : wish_(wish) {}

  bool null() override { return true; }
  bool boolean(bool value) override {
    if (field() == "system" && in_goroutine()) g_.system = value;
    return true;
  }
  bool number_integer(number_integer_t value) override {
    if (in_stack() && field() == "headroom") g_.stack.headroom = value;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return open(""); }
  bool start_array(std::size_t) override { return open("[]"); }
  bool key(string_t& value) override {
    keys_.back() = value;
    if (in_goroutine() && value == "frames") has_frames_ = true;
    return true;
  }
  bool end_array() override {
    keys_.pop_back();
    return true;
  }
  bool end_object() override {
    if (in_goroutine() && (base() == 2 || !head_)) finish_goroutine();
    if (in_frame()) finish_frame();
    keys_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    error_ = fmt::format("at byte {}: {}", position, error.what());
    return false;
  }

  // Between two documents of one stream.
  void next_document() {
    g_ = {};
    frames_.clear();
    has_id_ = has_frames_ = head_ = false;
  }
  const std::string& error() const { return error_; }
  bool is_list() const { return is_list_; }
  Moment finish() {
    moment_.grouping = without_frames_ == 0 ? Grouping::stack : Grouping::place;
    if (without_frames_ != 0 && with_frames_ != 0) moment_.regroup(Grouping::place);
    moment_.finish();
    return std::move(moment_);
  }

 private:
  static constexpr std::size_t kDeepest = 64;

  bool open(const char* key) {
    if (keys_.size() == kDeepest) {
      error_ = "nested deeper than any list is";
      return false;
    }
    keys_.emplace_back(key);
    return true;
  }
  // How many keys lead to a goroutine's object: "goroutines" and its array, or none in a line.
  std::size_t base() const { return keys_.size() >= 2 && keys_[0] == "goroutines" && keys_[1] == "[]" ? 2 : 0; }
  std::string_view field() const { return keys_.empty() ? std::string_view() : keys_.back(); }
  bool in_goroutine() const { return !keys_.empty() && keys_.size() == base() + 1; }
  bool in_stack() const { return keys_.size() == base() + 2 && keys_[base()] == "stack"; }
  bool in_frame() const { return keys_.size() == base() + 3 && keys_[base()] == "frames" && keys_[base() + 1] == "[]"; }
  void finish_goroutine();
  void finish_frame();

  const MomentWish& wish_;
  std::vector<std::string> keys_;
  Moment moment_;
  MomentGroups groups_{moment_};
  Goroutine g_;
  bool has_id_ = false;
  bool has_frames_ = false;
  bool head_ = false;  // this document has said of itself what it is
  MomentPlace frame_;
  std::string frame_module_;
  std::string frame_pc_;
  std::vector<MomentPlace> frames_;
  std::size_t with_frames_ = 0;
  std::size_t without_frames_ = 0;
  bool is_list_ = false;
  std::string error_;
};

bool ListReader::number_unsigned(number_unsigned_t value) {
  const auto name = field();
  if (in_goroutine()) {
    if (name == "id") {
      g_.id = value;
      has_id_ = true;
    } else if (name == "line") {
      g_.line = static_cast<std::uint32_t>(value);
    } else if (name == "grows") {
      g_.grows = value;
    } else if (name == "shrinks") {
      g_.shrinks = value;
    } else if (name == "links") {
      g_.links = value;
    } else if (name == "hot_splits") {
      g_.hot_splits = value;
    } else if (name == "bytes_copied") {
      g_.bytes_copied = value;
    } else if (name == "wait_ns") {
      g_.wait_ns = static_cast<std::int64_t>(value);
    } else if (name == "m") {
      g_.m = value;
      g_.has_m = true;
    } else if (name == "parent") {
      g_.parent = value;
    } else if (name == "created_line") {
      g_.created_line = static_cast<std::uint32_t>(value);
    }
  } else if (in_stack()) {
    if (name == "size") g_.stack.size = value;
    if (name == "used") g_.stack.used = value;
    if (name == "headroom") g_.stack.headroom = static_cast<std::int64_t>(value);
    if (name == "high_water") g_.stack.high_water = value;
  } else if (in_frame()) {
    if (name == "line") frame_.line = static_cast<std::uint32_t>(value);
  } else if (keys_.size() == 2 && keys_[0] == "target") {
    if (name == "pid") moment_.pid = value;
  } else if (keys_.size() == 2 && keys_[0] == "counts" && name == "skipped" && value != 0) {
    moment_.problems.push_back(fmt::format("{} goroutine records could not be read when the list was made", value));
  }
  return true;
}

bool ListReader::string(string_t& text) {
  // A file may have been written by anyone.
  const auto value = printable(text);
  const auto name = field();
  if (in_goroutine()) {
    if (name == "status") {
      g_.status = value;
    } else if (name == "wait_reason") {
      g_.wait_reason = value;
    } else if (name == "function") {
      g_.function = value;
    } else if (name == "file") {
      g_.file = value;
    } else if (name == "entry") {
      g_.entry = value;
    } else if (name == "label") {
      g_.label = value;
    } else if (name == "created_by") {
      g_.created_by = value;
    } else if (name == "created_file") {
      g_.created_file = value;
    } else if (name == "schema" && base() == 0) {
      head_ = true;
      is_list_ = is_list_ || value == "stacktide/1";
    }
  } else if (in_stack() && name == "guard_state") {
    for (const auto state : {GuardState::armed, GuardState::preempt, GuardState::force_move, GuardState::none,
                             GuardState::corrupt, GuardState::unknown}) {
      if (value == guard_state_name(state)) g_.stack.guard_state = state;
    }
  } else if (in_frame()) {
    if (name == "function") frame_.function = value;
    if (name == "file") frame_.file = value;
    if (name == "module") frame_module_ = value;
    if (name == "pc") frame_pc_ = value;
  } else if (keys_.size() == 2 && keys_[0] == "damage" && keys_[1] == "[]") {
    moment_.problems.push_back(value);
  }
  return true;
}

void ListReader::finish_frame() {
  if (frame_.function.empty()) frame_.function = fmt::format("{}+{}", base_name(frame_module_), frame_pc_);
  frames_.push_back(std::exchange(frame_, {}));
}

void ListReader::finish_goroutine() {
  if (!std::exchange(has_id_, false)) return;
  auto frames = std::exchange(frames_, {});
  const auto g = std::exchange(g_, {});
  const bool framed = std::exchange(has_frames_, false);
  if (!wish_.matcher.matches(g)) return;
  ++(framed ? with_frames_ : without_frames_);
  MomentGroup group;
  group.state = state_of(g);
  group.place = {g.function, g.file, g.line};
  group.entry = g.entry;
  group.frames = std::move(frames);
  group.key = key_of(group, framed ? Grouping::stack : Grouping::place);
  bool fresh = false;
  const auto number = groups_.find(group.key, fresh);
  auto& into = moment_.groups[number];
  if (fresh) into = std::move(group);
  ++into.count;
  into.stack_bytes += g.stack.size;
  moment_.goroutines.push_back({g.id, g.stack.size, number});
  add_creator(into, {g.created_by, g.created_file, g.created_line}, 1);
}

}  // namespace

Result<Moment> read_list_moment(const MomentSource& source, const MomentWish& wish) {
  const bool standard = source.path == "-";
  const std::string name = standard ? "standard input" : source.path;
  std::ifstream in(standard ? "/dev/stdin" : source.path, std::ios::binary);
  if (!in) return fail(ErrorCode::io_error, fmt::format("cannot open {}", name));
  ListReader reader(wish);
  const auto no_list = [&](std::string_view why) {
    return fail(ErrorCode::usage, fmt::format("{} is no output of `list --json`: {}", name, why));
  };
  for (in >> std::ws; in && in.peek() != std::char_traits<char>::eof(); in >> std::ws) {
    reader.next_document();
    if (!nlohmann::json::sax_parse(in, &reader, nlohmann::json::input_format_t::json, false)) return no_list(reader.error());
  }
  if (!reader.is_list()) return no_list("it does not say \"schema\":\"stacktide/1\"");
  auto moment = reader.finish();
  moment.source = name;
  moment.kind = MomentKind::list;
  return moment;
}

}  // namespace stacktide

// The model that rt_model holds goroutines against: what each operation did, between two tickets of one global counter, and whether some order of single
// steps could have given that.
//
// An operation took effect at some moment between its tickets. So one that ended before another started came first, and how many values were in a
// channel at a time is known within bounds. What is checked is what those bounds exclude, and that nothing is lost, doubled or made up.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <vector>

#include "rt_support.h"

namespace rt {

enum class Did {
  send,        // value into object
  no_send,     // would have had to wait
  receive,     // value from object
  no_receive,  // would have had to wait
  closed,      // received the end of object
  close,
  hold,       // has the mutex from start to end
  wants,      // from before it asked for the mutex until after it gave it back
  no_lock,    // would have had to wait
  once_body,  // the function of a once, and
  once_call,  // each call
  done,       // with the group, and
  waited,     // for it
};

struct Operation {
  Did did;
  std::size_t object;
  long value;
  std::uint64_t start;
  std::uint64_t end;
};

inline std::atomic<std::uint64_t> next_ticket = 1;
inline std::uint64_t ticket() { return next_ticket.fetch_add(1); }

class History {
 public:
  void add(const std::vector<Operation>& log) {
    for (const Operation& operation : log) by_kind_[{operation.did, operation.object}].push_back(operation);
  }

  void check_channel(std::size_t c, std::size_t capacity) {
    const auto& sends = all(Did::send, c);
    const auto& receives = all(Did::receive, c);
    RT_CHECK(sends.size() == receives.size());
    std::map<long, const Operation*> sent;
    for (const Operation& s : sends) RT_CHECK(sent.emplace(s.value, &s).second);
    std::map<long, const Operation*> got;
    for (const Operation& r : receives) {
      RT_CHECK(sent.contains(r.value) && got.emplace(r.value, &r).second);
      RT_CHECK(r.end > sent.at(r.value)->start);
      // Without room for it, a value is gone only when its receiver has come.
      if (capacity == 0) RT_CHECK(r.start < sent.at(r.value)->end);
    }
    for (const auto& [a, first] : sent) {
      for (const auto& [b, second] : sent) {
        if (first->end < second->start) RT_CHECK(got.at(b)->end > got.at(a)->start);  // first in, first out
      }
    }
    const std::int64_t room = static_cast<std::int64_t>(capacity);
    for (const Operation& s : sends) RT_CHECK(inside_at_least(c, s.end, s.end) <= room);
    for (const Operation& s : all(Did::no_send, c)) RT_CHECK(capacity == 0 || inside_at_most(c, s.start, s.end) >= room);
    for (const Operation& r : all(Did::no_receive, c)) RT_CHECK(inside_at_least(c, r.start, r.end) <= 0);
    for (const Operation& r : all(Did::closed, c)) {
      RT_CHECK(inside_at_least(c, r.start, r.end) <= 0 && r.end > all(Did::close, c).at(0).start);
    }
  }

  void check_mutex(std::size_t m) {
    auto holds = all(Did::hold, m);
    std::sort(holds.begin(), holds.end(), [](const Operation& a, const Operation& b) { return a.start < b.start; });
    for (std::size_t i = 1; i < holds.size(); ++i) RT_CHECK(holds[i - 1].end < holds[i].start);
    const auto& wants = all(Did::wants, m);
    for (const Operation& no : all(Did::no_lock, m)) {
      RT_CHECK(std::any_of(wants.begin(), wants.end(), [&](const Operation& w) { return w.start < no.end && w.end > no.start; }));
    }
  }

  void check_once(std::size_t o) {
    RT_CHECK(all(Did::once_body, o).size() == (all(Did::once_call, o).empty() ? 0U : 1U));
    for (const Operation& call : all(Did::once_call, o)) RT_CHECK(all(Did::once_body, o).at(0).end < call.end);
  }

  void check_group(std::size_t g, std::size_t members) {
    RT_CHECK(all(Did::done, g).size() == members && !all(Did::waited, g).empty());
    for (const Operation& w : all(Did::waited, g)) {
      for (const Operation& d : all(Did::done, g)) RT_CHECK(d.start < w.end);
    }
  }

 private:
  const std::vector<Operation>& all(Did did, std::size_t object) { return by_kind_[{did, object}]; }

  std::int64_t count(Did did, std::size_t object, bool (*before)(const Operation&, std::uint64_t), std::uint64_t when) {
    const auto& operations = all(did, object);
    return std::count_if(operations.begin(), operations.end(), [&](const Operation& o) { return before(o, when); });
  }
  static bool started(const Operation& o, std::uint64_t when) { return o.start < when; }
  static bool ended(const Operation& o, std::uint64_t when) { return o.end <= when; }
  // Values in the channel at any moment from `start` to `end`: no fewer than, no more than.
  std::int64_t inside_at_least(std::size_t c, std::uint64_t start, std::uint64_t end) {
    return count(Did::send, c, ended, start) - count(Did::receive, c, started, end);
  }
  std::int64_t inside_at_most(std::size_t c, std::uint64_t start, std::uint64_t end) {
    return count(Did::send, c, started, end) - count(Did::receive, c, ended, start);
  }

  std::map<std::pair<Did, std::size_t>, std::vector<Operation>> by_kind_;
};

}  // namespace rt

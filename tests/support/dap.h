// A Debug Adapter Protocol client for tests: what VS Code says to lldb-dap, over its standard input and output.
//
// Requests are answered in order; events that come in between are kept until somebody waits for them. Every wait has a
// bound.
#pragma once

#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "support/process.h"

namespace stacktide::test {

class DapClient {
 public:
  // Starts the adapter and says "initialize".
  explicit DapClient(const std::string& adapter = "lldb-dap-19");
  // Sends a request and waits for its response, which it returns whole; throws when it is no success.
  nlohmann::json request(std::string_view command, const nlohmann::json& arguments = nlohmann::json::object());
  // Waits for an event of this name, seen or to come, for which `wanted` of its body is true; returns the body.
  nlohmann::json event(std::string_view name, const std::function<bool(const nlohmann::json&)>& wanted = {});
  // The output that the adapter has sent for people, so far.
  std::string console() const { return console_; }

 private:
  nlohmann::json receive();

  TempDir folder_;  // for its standard error
  Child child_;
  std::size_t read_ = 0;  // of the child's output
  int sequence_ = 0;
  std::deque<nlohmann::json> events_;
  std::string console_;
};

}  // namespace stacktide::test

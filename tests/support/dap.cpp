#include "support/dap.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

namespace stacktide::test {
namespace {

constexpr Timeout kDapTimeout{60'000};
constexpr std::string_view kHeader = "Content-Length: ";

}  // namespace

DapClient::DapClient(const std::string& adapter)
    : child_(Child::start({"sh", "-c", "exec " + adapter + " 2> " + (folder_ / "err")})) {
  request("initialize",
          {{"adapterID", "lldb-dap"}, {"linesStartAt1", true}, {"columnsStartAt1", true}, {"pathFormat", "path"}});
}

nlohmann::json DapClient::request(std::string_view command, const nlohmann::json& arguments) {
  const nlohmann::json message = {{"seq", ++sequence_}, {"type", "request"}, {"command", command}, {"arguments", arguments}};
  const auto body = message.dump();
  // The line's end is part of the body, where it is a blank.
  child_.send_line(fmt::format("{}{}\r\n\r\n{}", kHeader, body.size() + 1, body));
  for (;;) {
    auto answer = receive();
    if (answer.at("type") != "response" || answer.at("request_seq") != sequence_) continue;
    if (!answer.at("success").get<bool>())
      throw std::runtime_error(fmt::format("{}: {}\n{}", command, answer.dump(), console_));
    return answer;
  }
}

nlohmann::json DapClient::event(std::string_view name, const std::function<bool(const nlohmann::json&)>& wanted) {
  for (;;) {
    while (!events_.empty()) {
      const auto event = std::move(events_.front());
      events_.pop_front();
      const auto body = event.value("body", nlohmann::json::object());
      if (event.at("event") == name && (!wanted || wanted(body))) return body;
    }
    receive();
  }
}

// One message; an event is kept.
nlohmann::json DapClient::receive() {
  std::size_t at = std::string::npos;
  std::size_t end = std::string::npos;
  while (end == std::string::npos) {
    at = child_.output().find(kHeader, read_);
    end = at == std::string::npos ? at : child_.output().find("\r\n\r\n", at);
    if (end == std::string::npos) child_.wait_for_bytes(child_.output().size() + 1, kDapTimeout);
  }
  std::size_t size = 0;
  const char* digits = child_.output().data() + at + kHeader.size();
  std::from_chars(digits, child_.output().data() + end, size);
  const auto begin = end + 4;
  child_.wait_for_bytes(begin + size, kDapTimeout);
  read_ = begin + size;
  auto message = nlohmann::json::parse(child_.output().substr(begin, size));
  if (message.at("type") == "event") {
    if (message.at("event") == "output") console_ += message.at("body").at("output").get<std::string>();
    events_.push_back(message);
  }
  return message;
}

}  // namespace stacktide::test

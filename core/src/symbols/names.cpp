// Splits a demangled name into its components at "::", in the spellings of GCC's demangler, of LLVM's, and of DW_AT_name.
//
// Demangled text has no grammar that anyone promises, so the scanner is careful instead of clever: what it does not
// recognise makes it give up, and the name stays whole. Everything is bounded by the length of the text.
#include "symbols/names.h"

#include <cxxabi.h>

#include <array>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "symbols/symbolizer.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxName = 64 * 1024;
constexpr int kMaxDepth = 64;

struct Component {
  std::string text;        // with template arguments: "send<double>", "operator()", "{lambda(int)#1}"
  std::string parameters;  // "(int) const"; "" when none were written
  bool closure = false;    // a lambda or another unnamed type
};

bool identifier(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$'; }

// Position after the bracket that closes the one at `at`; npos when there is none. "->" and "operator<" do not close or
// open.
std::size_t after_group(std::string_view name, std::size_t at) {
  std::string expected;
  for (std::size_t i = at; i < name.size(); ++i) {
    char c = name[i];
    if (name.substr(i).starts_with("operator") && (i == 0 || !identifier(name[i - 1]))) {
      std::size_t symbol = i + std::string_view("operator").size();
      if (name.substr(symbol).starts_with("()")) {
        i = symbol + 1;
        continue;
      }
      while (symbol < name.size() && std::string_view("<>=-").find(name[symbol]) != std::string_view::npos) ++symbol;
      i = symbol - 1;
      continue;
    }
    if (c == '-' && i + 1 < name.size() && name[i + 1] == '>') {
      ++i;
      continue;
    }
    switch (c) {
      case '(':
        expected += ')';
        break;
      case '<':
        expected += '>';
        break;
      case '{':
        expected += '}';
        break;
      case '[':
        expected += ']';
        break;
      case ')':
      case '>':
      case '}':
      case ']':
        // A '>' inside parentheses is a comparison in an expression.
        if (c == '>' && !expected.empty() && expected.back() == ')') break;
        if (expected.empty() || expected.back() != c) return std::string_view::npos;
        expected.pop_back();
        if (expected.empty()) return i + 1;
        break;
      default:
        break;
    }
  }
  return std::string_view::npos;
}

constexpr std::array<std::string_view, 40> kOperators = {
    "()", "[]", "<=>", "<<=", ">>=", "->*", "->", "<<", ">>", "<=", ">=", "==",  "!=", "&&",
    "||", "++", "--",  "+=",  "-=",  "*=",  "/=", "%=", "^=", "&=", "|=", "+",   "-",  "*",
    "/",  "%",  "^",   "&",   "|",   "~",   "!",  "=",  "<",  ">",  ",",  "\"\""};

class Scanner {
 public:
  explicit Scanner(std::string_view name) : name_(name) {}

  std::optional<std::vector<Component>> scan() {
    while (at_ < name_.size())
      if (!next()) return std::nullopt;
    if (current_.text.empty()) return std::nullopt;
    parts_.push_back(current_);
    return parts_;
  }

 private:
  std::string_view rest() const { return name_.substr(at_); }
  void end() { at_ = name_.size(); }

  // Takes the bracketed group here into `where`.
  bool take_group(std::string& where) {
    std::size_t end = after_group(name_, at_);
    if (end == std::string_view::npos) return false;
    where += name_.substr(at_, end - at_);
    at_ = end;
    return true;
  }

  void finish_component() {
    parts_.push_back(current_);
    current_ = {};
    at_ += 2;
  }

  // All so far was a return type.
  void drop() {
    parts_.clear();
    current_ = {};
    while (at_ < name_.size() && name_[at_] == ' ') ++at_;
  }

  bool next() {
    if (rest().starts_with("::")) {
      if (current_.text.empty() && !parts_.empty()) return false;
      if (current_.text.empty()) at_ += 2;  // "::foo"
      else finish_component();
      return true;
    }
    char c = name_[at_];
    if (c == ' ') {
      if (rest().starts_with(" [clone")) {
        end();
        return true;
      }
      drop();
      return true;
    }
    if (current_.text.empty()) return start_component(c);
    if (c == '<') return take_group(current_.text);
    if (c == '[') return take_group(current_.text);
    if (c == '(') return take_parameters();
    current_.text += c;
    ++at_;
    return true;
  }

  bool start_component(char c) {
    if (c == '{' || c == '<') {
      current_.closure = true;
      return take_group(current_.text);
    }
    if (c == '(') {
      if (!rest().starts_with("(anonymous ")) {
        std::string ignored;  // "decltype (f(x)) call(...)": still the return type
        return take_group(ignored) && at_ < name_.size() && name_[at_] == ' ';
      }
      current_.closure = !rest().starts_with("(anonymous namespace)");
      return take_group(current_.text);
    }
    if (c == '\'') {
      std::size_t end = name_.find('\'', at_ + 1);
      if (end == std::string_view::npos) return false;
      current_.closure = true;
      current_.text = name_.substr(at_, end + 1 - at_);
      at_ = end + 1;
      return at_ >= name_.size() || name_[at_] != '(' || take_group(current_.text);
    }
    if (rest().starts_with("operator") && (rest().size() == 8 || !identifier(rest()[8]))) return take_operator();
    current_.closure = c == '$';  // "$_0": Clang's name for a closure
    current_.text += c;
    ++at_;
    return true;
  }

  bool take_operator() {
    current_.text = "operator";
    at_ += current_.text.size();
    if (rest().starts_with(" ") && !rest().starts_with(" [clone")) {
      // Conversions, new and delete: all up to the parameters belongs to the name.
      while (at_ < name_.size() && name_[at_] != '(') {
        if (name_[at_] == '<') {
          if (!take_group(current_.text)) return false;
          continue;
        }
        current_.text += name_[at_++];
      }
      return true;
    }
    for (std::string_view symbol : kOperators) {
      if (!rest().starts_with(symbol)) continue;
      current_.text += symbol;
      at_ += symbol.size();
      if (symbol == "\"\"")
        while (at_ < name_.size() && (identifier(name_[at_]) || name_[at_] == ' ')) current_.text += name_[at_++];
      if (rest().starts_with(" <")) ++at_;  // "operator< <int>"
      return true;
    }
    return true;  // a bare "operator" is what some readers make of a lambda's
  }

  bool take_parameters() {
    if (!take_group(current_.parameters)) return false;
    while (at_ < name_.size()) {
      bool found = false;
      for (std::string_view qualifier : {" const", " volatile", " noexcept", " &&", " &", "&&", "&"}) {
        if (!rest().starts_with(qualifier)) continue;
        std::size_t after = at_ + qualifier.size();
        if (after < name_.size() && identifier(name_[after])) continue;
        current_.parameters += qualifier;
        at_ = after;
        found = true;
        break;
      }
      if (!found) break;
    }
    if (at_ >= name_.size() || rest().starts_with("::") || rest().starts_with(" ") || rest().starts_with("[")) return true;
    return false;
  }

  std::string_view name_;
  std::size_t at_ = 0;
  std::vector<Component> parts_;
  Component current_;
};

std::optional<std::vector<Component>> components(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return std::nullopt;
  return Scanner(name).scan();
}

std::string canonical_type(std::string_view text, int depth);

// "<a, b>" with each argument in canonical form.
std::string canonical_arguments(std::string_view group, int depth) {
  std::string result = "<";
  std::string_view inside = group.substr(1, group.size() - 2);
  std::size_t start = 0;
  for (std::size_t i = 0; i <= inside.size();) {
    if (i == inside.size() || inside[i] == ',') {
      if (start != 0) result += ',';
      result += canonical_type(inside.substr(start, i - start), depth + 1);
      start = ++i;
      continue;
    }
    if (std::string_view("<({[").find(inside[i]) != std::string_view::npos) {
      std::size_t end = after_group(inside, i);
      i = end == std::string_view::npos ? i + 1 : end;
      continue;
    }
    ++i;
  }
  return result + ">";
}

// A type without spaces; closures, which everyone spells in another way, are just "{lambda}", without the functions around
// them.
std::string canonical_type(std::string_view text, int depth) {
  std::string result;
  if (depth > kMaxDepth) return std::string(text);
  for (std::size_t i = 0; i < text.size();) {
    std::string_view rest = text.substr(i);
    bool closure = rest.starts_with("{lambda(") || rest.starts_with("<lambda(") || rest.starts_with("'lambda");
    if (closure) {
      std::size_t end = rest[0] == '\'' ? text.find('\'', i + 1) : after_group(text, i);
      if (end == std::string_view::npos) return std::string(text);
      if (rest[0] == '\'') {
        ++end;
        if (end < text.size() && text[end] == '(') end = after_group(text, end);
        if (end == std::string_view::npos) return std::string(text);
      }
      result = "{lambda}";
      i = end;
      continue;
    }
    if (rest[0] == '<') {
      std::size_t end = after_group(text, i);
      if (end == std::string_view::npos) return std::string(text);
      result += canonical_arguments(text.substr(i, end - i), depth);
      i = end;
      continue;
    }
    if (rest[0] != ' ') result += rest[0];
    ++i;
  }
  return result;
}

struct FreeDeleter {
  void operator()(char* text) const { std::free(text); }  // __cxa_demangle allocates with malloc
};

}  // namespace

std::string demangle(std::string_view symbol) {
  if (!symbol.starts_with("_Z") || symbol.size() > kMaxName) return std::string(symbol);
  std::string terminated(symbol);
  int status = 0;
  std::unique_ptr<char, FreeDeleter> text(abi::__cxa_demangle(terminated.c_str(), nullptr, nullptr, &status));
  if (status == 0 && text != nullptr) return text.get();
  return terminated;
}

std::string without_signature(std::string_view name) {
  auto parts = components(name);
  if (!parts) return std::string(name);
  std::string result;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const Component& part = (*parts)[i];
    result += part.text;
    if (i + 1 < parts->size()) result += part.parameters + "::";
  }
  return result;
}

std::string plain_name(std::string_view name) {
  auto parts = components(name);
  if (!parts) return std::string(name);
  std::string result;
  for (const Component& part : *parts) {
    if (part.closure && &part != &parts->back()) {
      result.clear();
      continue;
    }
    if (!result.empty()) result += "::";
    if (part.closure) {
      result += "{lambda}";
      continue;
    }
    std::string_view text = part.text;
    if (text.starts_with("(") || text.starts_with("operator")) {
      result += text;
      continue;
    }
    if (std::size_t tag = text.find("[abi:"); tag != std::string_view::npos) text = text.substr(0, tag);
    result += canonical_type(text, 0);
  }
  return result;
}

}  // namespace stacktide

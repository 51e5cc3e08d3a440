#include "command_line.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

namespace stacktide::link {
namespace {

namespace fs = std::filesystem;

// Options of the GCC and Clang drivers whose value is the next word. A missing one costs nothing: the value is then tried
// as an input and taken for one only if it is an object or an archive.
constexpr std::array<std::string_view, 17> kTakesWord = {"-o",  "-L",  "-l",       "-T",          "-u",     "-z",
                                                         "-e",  "-x",  "-I",       "-D",          "-B",     "-MF",
                                                         "-MT", "-MQ", "-isystem", "-Xassembler", "--param"};

// Pieces of -Wl,... after which a file name is an input and not the value of an option.
constexpr std::array<std::string_view, 14> kNoValue = {
    "--whole-archive", "--no-whole-archive", "--push-state", "--pop-state", "--start-group", "--end-group", "-(", "-)",
    "--as-needed",     "--no-as-needed",     "-Bstatic",     "-Bdynamic",   "-dn",           "-dy"};

// What linkers call the leaving out of symbols, and what strip(1) calls it.
struct Stripping {
  std::string_view linker;
  std::string_view strip;
};
constexpr std::array kStripping = {Stripping{"-s", "--strip-all"},
                                   Stripping{"-S", "--strip-debug"},
                                   Stripping{"--strip-debug", "--strip-debug"},
                                   Stripping{"-strip-debug", "--strip-debug"},
                                   Stripping{"--strip-all", "--strip-all"},
                                   Stripping{"-strip-all", "--strip-all"},
                                   Stripping{"-x", "--discard-all"},
                                   Stripping{"--discard-all", "--discard-all"},
                                   Stripping{"-discard-all", "--discard-all"}};

constexpr int kMaxResponseDepth = 16;

bool contains(const auto& list, std::string_view text) { return std::ranges::find(list, text) != list.end(); }

// Splits a response file as GCC does: blanks separate, both quotes and backslash protect.
std::vector<std::string> split_response(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size()) {
      word += text[++i];
      inside = true;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
      else word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      inside = true;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
      if (inside) words.push_back(std::move(word));
      word.clear();
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (inside) words.push_back(std::move(word));
  return words;
}

Result<void> expand(const std::string& word, int depth, std::vector<std::string>& out) {
  std::error_code ignored;
  if (!word.starts_with('@') || !fs::is_regular_file(word.substr(1), ignored)) {
    out.push_back(word);
    return {};
  }
  if (depth == kMaxResponseDepth) return std::unexpected(word + ": response files nest too deep");
  std::ifstream file(word.substr(1), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return std::unexpected(word + ": cannot read the response file");
  for (const std::string& inner : split_response(text.str())) {
    if (auto done = expand(inner, depth + 1, out); !done) return done;
  }
  return {};
}

Word::Kind kind_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, sizeof(Elf64_Ehdr)> head{};
  file.read(head.data(), head.size());
  const Bytes bytes{reinterpret_cast<const std::byte*>(head.data()), static_cast<std::size_t>(file.gcount())};
  if (is_relocatable_elf(bytes)) return Word::Kind::object;
  return is_archive(bytes) ? Word::Kind::archive : Word::Kind::option;
}

// What is known after reading the words once; the second pass needs all of it.
class Reader {
 public:
  explicit Reader(CommandLine& line) : line_(line) {}

  void read(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == "-L" && i + 1 < words.size()) directories_.push_back(words[i + 1]);
      else if (words[i].starts_with("-L")) directories_.push_back(words[i].substr(2));
    }
    for (const char* system : {"/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"})
      directories_.push_back(system);
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::string& word = words[i];
      if (word == "-Xlinker" && i + 1 < words.size()) {
        if (strips(words[i + 1])) {
          ++i;
          continue;
        }
        linker_piece(words[i + 1]);
        option(word);
        option(words[++i]);
      } else if (word == "-l" && i + 1 < words.size()) {
        library(words[++i]);
      } else if (contains(kTakesWord, word) && i + 1 < words.size()) {
        if (word == "-o") line_.output = words[i + 1];
        option(word);
        option(words[++i]);
      } else if (word.starts_with("-Wl,")) {
        linker_words(word);
      } else if (word.starts_with("-l")) {
        library(word.substr(2));
      } else if (word.starts_with("-o")) {
        line_.output = word.substr(2);
        option(word);
      } else if (word.starts_with('-')) {
        driver_option(word);
      } else {
        input(word);
      }
    }
  }

 private:
  void option(const std::string& text) { line_.words.push_back({Word::Kind::option, text, {}, whole_archive_}); }

  void input(const std::string& path) { line_.words.push_back({kind_of_file(path), path, path, whole_archive_}); }

  void driver_option(const std::string& word) {
    if (word == "-c" || word == "-S" || word == "-E" || word == "-r") line_.links = false;
    if (word == "-shared") line_.shared = true;
    if (word == "-s" && strips(word)) return;
    // On a link line it only makes the driver wrap pthread_create for libgcc's own stacks, which are not ours.
    if (word == "-fsplit-stack") return;
    option(word);
  }

  // The linker looks in each directory for the shared library first, unless told -static.
  void library(const std::string& name) {
    const std::string text = "-l" + name;
    for (const fs::path& directory : directories_) {
      std::error_code ignored;
      const bool exact = name.starts_with(':');
      if (!exact && fs::exists(directory / ("lib" + name + ".so"), ignored)) break;
      const fs::path archive = directory / (exact ? name.substr(1) : "lib" + name + ".a");
      if (!fs::exists(archive, ignored)) continue;
      if (kind_of_file(archive) == Word::Kind::archive) {
        line_.words.push_back({Word::Kind::archive, text, archive, whole_archive_});
        return;
      }
      break;
    }
    option(text);
  }

  // Is it an option by which the linker would leave symbols out? Then strip(1) does so later.
  bool strips(std::string_view piece) {
    const auto found = std::ranges::find(kStripping, piece, &Stripping::linker);
    if (found == kStripping.end()) return false;
    line_.strip.emplace_back(found->strip);
    return true;
  }

  // Follows the state that matters of a word meant for the linker itself.
  void linker_piece(std::string_view piece) {
    if (expects_wrap_) {
      line_.wrapped.emplace_back(piece);
      expects_wrap_ = false;
    }
    if (piece == "--whole-archive" || piece == "-whole-archive") whole_archive_ = true;
    if (piece == "--no-whole-archive" || piece == "-no-whole-archive") whole_archive_ = false;
    if (piece == "--push-state") states_.push_back(whole_archive_);
    if (piece == "--pop-state" && !states_.empty()) {
      whole_archive_ = states_.back();
      states_.pop_back();
    }
    for (std::string_view wrap : {"--wrap", "-wrap"}) {
      if (piece == wrap) expects_wrap_ = true;
      else if (piece.starts_with(wrap) && piece.substr(wrap.size()).starts_with('='))
        line_.wrapped.emplace_back(piece.substr(wrap.size() + 1));
    }
    if (piece == "-r" || piece == "--relocatable") line_.links = false;
    if (piece == "-shared") line_.shared = true;
  }

  void linker_words(const std::string& word) {
    std::string pending = "-Wl";
    std::string previous = "--push-state";
    const auto flush = [&] {
      if (pending != "-Wl") option(pending);
      pending = "-Wl";
    };
    for (std::size_t begin = 4; begin <= word.size();) {
      const std::size_t end = std::min(word.find(',', begin), word.size());
      const std::string piece = word.substr(begin, end - begin);
      const bool free_standing = !previous.starts_with('-') || contains(kNoValue, previous);
      if (free_standing && !piece.starts_with('-') && kind_of_file(piece) != Word::Kind::option) {
        flush();
        input(piece);
        previous = piece;
      } else if (!strips(piece)) {
        linker_piece(piece);
        pending += "," + piece;
        previous = piece;
      }
      begin = end + 1;
    }
    flush();
  }

  CommandLine& line_;
  std::vector<fs::path> directories_;
  std::vector<bool> states_;
  bool whole_archive_ = false;
  bool expects_wrap_ = false;
};

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  std::size_t first = 0;
  for (; first < arguments.size() && arguments[first].starts_with('-'); ++first) {
    if (arguments[first] == "--stacktide-verbose") line.verbose = true;
    else if (arguments[first] == "--help" || arguments[first] == "-h") line.help = true;
    else return std::unexpected(arguments[first] + ": unknown option (see stacktide-link --help)");
  }
  if (line.help) return line;
  if (first == arguments.size()) return std::unexpected("no link command given (see stacktide-link --help)");
  line.driver = arguments[first];
  std::vector<std::string> words;
  for (std::size_t i = first + 1; i < arguments.size(); ++i) {
    if (auto done = expand(arguments[i], 0, words); !done) return std::unexpected(done.error());
  }
  Reader(line).read(words);
  return line;
}

}  // namespace stacktide::link

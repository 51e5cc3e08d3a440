#include "plan.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <system_error>

#include "flags.h"
#include "maps_object.h"
#include "movable.h"
#include "probe.h"
#include "process.h"
#include "thunks.h"

namespace stacktide::link {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string, std::less<>>;

// A goroutine object of the link, given by itself or as a member of an archive.
struct Input {
  Object object;
  std::size_t word;    // index of the object or archive
  std::string member;  // "" for an object
};

struct Inputs {
  std::vector<MappedFile> files;  // what the objects point into
  std::vector<Input> goroutine;
  std::vector<Object> unchecked;
  Names runtime;                         // defined by the runtime
  std::vector<std::string> starters;     // objects without stack checks that start goroutines
  bool runtime_knows_sanitizer = false;  // it is built for ThreadSanitizer
};

bool holds_relocatable(const Member& member) { return is_relocatable_elf(member.bytes); }

// go() and run() are templates: what a goroutine begins with is compiled where they are called.
bool starts_goroutines(const Object& object) {
  for (std::size_t i = object.first_global(); i < object.symbol_count(); ++i) {
    const Symbol symbol = object.symbol(i);
    if (!symbol.defined && (symbol.name == "stacktide_go" || symbol.name == "stacktide_run")) return true;
  }
  return false;
}

Result<void> add_object(Bytes bytes, std::string name, std::size_t word, std::string member, Inputs& inputs) {
  auto object = Object::parse(bytes, std::move(name));
  if (!object) return std::unexpected(object.error());
  if (is_lto_goroutine_object(*object)) {
    return std::unexpected(
        object->name() +
        ": goroutine code compiled with -flto has its calls made after this step; compile it with -fno-lto");
  }
  if (object->has_section(kRuntimeNote)) {
    add_runtime_definitions(*object, inputs.runtime);
    inputs.runtime_knows_sanitizer = inputs.runtime_knows_sanitizer || uses_thread_sanitizer(*object);
  } else if (is_goroutine_object(*object)) inputs.goroutine.push_back({std::move(*object), word, std::move(member)});
  else {
    if (member.empty() && starts_goroutines(*object)) inputs.starters.push_back(object->name());
    inputs.unchecked.push_back(std::move(*object));
  }
  return {};
}

Result<Inputs> read_inputs(const CommandLine& line) {
  Inputs inputs;
  for (std::size_t i = 0; i < line.words.size(); ++i) {
    const Word& word = line.words[i];
    if (word.kind == Word::Kind::option) continue;
    auto file = MappedFile::open(word.path);
    if (!file) return std::unexpected(file.error());
    const Bytes bytes = file->bytes();
    inputs.files.push_back(std::move(*file));
    if (word.kind == Word::Kind::object) {
      if (auto done = add_object(bytes, word.path.string(), i, {}, inputs); !done) return std::unexpected(done.error());
      continue;
    }
    const auto members = archive_members(bytes, word.path, inputs.files);
    if (!members) return std::unexpected(members.error());
    for (const Member& member : *members) {
      if (!holds_relocatable(member)) continue;
      const std::string name = word.path.string() + "(" + member.name + ")";
      if (auto done = add_object(member.bytes, name, i, member.name, inputs); !done) return std::unexpected(done.error());
    }
  }
  return inputs;
}

bool is_taken(const Input& input, const CommandLine& line, const ProbeAnswer& answer) {
  const Word& word = line.words[input.word];
  if (input.member.empty() || word.whole_archive) return true;
  std::error_code ignored;
  const fs::path archive = fs::weakly_canonical(word.path, ignored);
  if (answer.files.contains(fs::weakly_canonical(word.path.parent_path() / input.member, ignored).string())) return true;
  const auto members = answer.members.find(archive);
  return members != answer.members.end() && members->second.contains(input.member);
}

// Objects, and archives in a --whole-archive region, are linked in any case; of other archives the linker takes what it
// needs.
bool asks_for_archive_members(const Inputs& inputs, const CommandLine& line) {
  return std::ranges::any_of(
      inputs.goroutine, [&](const Input& input) { return !input.member.empty() && !line.words[input.word].whole_archive; });
}

Result<Calls> calls_of(const Inputs& inputs) {
  std::vector<Object> objects;
  Names defined = inputs.runtime;
  for (const Input& input : inputs.goroutine) {
    objects.push_back(input.object);
    add_definitions(input.object, defined);
  }
  return collect_calls(objects, defined);
}

// How the goroutine objects were compiled, and those that should have been such.
Result<void> check_inputs(const Inputs& inputs) {
  if (!inputs.starters.empty()) {
    return std::unexpected(
        inputs.starters.front() +
        " starts goroutines and has no stack checks: call stacktide_goroutines() for its target, and leave out "
        "-fno-split-stack");
  }
  for (const Input& input : inputs.goroutine) {
    if (auto done = check_flags(input.object, input.object.has_section(kMovableNote)); !done) return done;
    if (inputs.runtime_knows_sanitizer || !uses_thread_sanitizer(input.object)) continue;
    return std::unexpected(
        input.object.name() +
        " is compiled with -fsanitize=thread, which does not follow goroutines from stack to stack; compile "
        "goroutine code without it");
  }
  return {};
}

// The functions that goroutine objects define for others, which the program must have with their checks.
void expect_functions(const Input& input, Expected& expected) {
  for (std::size_t i = input.object.first_global(); i < input.object.symbol_count(); ++i) {
    const Symbol symbol = input.object.symbol(i);
    if (symbol.function && symbol.placed && !symbol.name.empty())
      expected.functions.emplace(symbol.name, input.object.name());
  }
}

// The symbols that the user wraps: theirs come first, and the two cannot be combined.
Result<void> check_user_wraps(const CommandLine& line, const Calls& calls) {
  for (const std::string& symbol : line.wrapped) {
    if (!calls.direct.contains(symbol)) continue;
    return std::unexpected("--wrap=" + symbol + " cannot be used in a goroutine program, whose calls of " + symbol +
                           " are wrapped already (" + calls.direct.find(symbol)->second.caller + " calls it)");
  }
  return {};
}

// A file name for a copy, unique by its number and telling by its end.
std::string copy_name(std::size_t number, const Input& input, const Word& word) {
  const std::string base = input.member.empty() ? word.path.filename().string() : fs::path(input.member).filename().string();
  return std::to_string(number) + "." + base;
}

class Writer {
 public:
  Writer(const CommandLine& line, const Inputs& inputs, fs::path directory) : line_(line), directory_(std::move(directory)) {
    for (const Input& input : inputs.goroutine) goroutine_words_.insert(input.word);
  }

  // Paths of the goroutine objects as they are linked: copies whose code is in a section of its kind.
  Result<void> place_goroutine_objects(const Inputs& inputs, Plan& plan) {
    std::vector<std::string> pinned;
    for (std::size_t i = 0; i < inputs.goroutine.size(); ++i) {
      const Input& input = inputs.goroutine[i];
      const Word& word = line_.words[input.word];
      const bool movable = input.object.has_section(kMovableNote);
      (movable ? plan.movable : plan.pinned).push_back(input.object.name());
      const auto renamed = with_code_in(input.object, movable ? kMovableSection : kPinnedSection);
      if (!renamed) return std::unexpected(renamed.error());
      const fs::path path = directory_ / copy_name(i, input, word);
      if (auto done = write_copy(path, *renamed); !done) return done;
      (movable ? first_ : pinned).push_back(path.string());
    }
    first_.insert(first_.end(), pinned.begin(), pinned.end());
    return {};
  }

  // made: objects that the launcher itself has made.
  Result<void> write_command(const Inputs& inputs, const std::vector<fs::path>& made, Plan& plan) {
    const fs::path wraps = directory_ / "wrap.rsp";
    if (auto done = write_if_changed(wraps, wrap_options(plan.calls.direct)); !done) return std::unexpected(done.error());
    plan.command = {line_.driver};
    bool placed = false;
    for (std::size_t i = 0; i < line_.words.size(); ++i) {
      const Word& word = line_.words[i];
      if (word.kind != Word::Kind::option && !placed) {
        plan.command.insert(plan.command.end(), first_.begin(), first_.end());
        for (const fs::path& object : made) plan.command.push_back(object.string());
        placed = true;
      }
      if (!goroutine_words_.contains(i) || (word.kind == Word::Kind::archive && !word.whole_archive))
        plan.command.push_back(word.text);
      else if (word.kind == Word::Kind::archive) {
        if (auto done = spread_rest(inputs, i, plan.command); !done) return done;
      }
    }
    // Exported, they are known even when the program is stripped: GDB unwinds through the one, a trace breaks at the others.
    for (const char* option :
         {"-Wl,-z,now", "-Wl,--export-dynamic-symbol=__morestack", "-Wl,--export-dynamic-symbol=stacktide_stack_event",
          "-Wl,--export-dynamic-symbol=stacktide_events_pending"})
      plan.command.emplace_back(option);
    plan.command.push_back("@" + wraps.string());
    return {};
  }

  // Removes the copies that an earlier link left and this one does not use.
  void remove_stale() const {
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory_, ignored)) {
      if (entry.path().extension() == ".o" && entry.path().filename() != "thunks.o" && entry.path().filename() != "maps.o" &&
          !copies_.contains(entry.path())) {
        fs::remove(entry.path(), ignored);
      }
    }
  }

 private:
  Result<void> write_copy(const fs::path& path, std::string_view contents) {
    copies_.insert(path);
    if (auto done = write_if_changed(path, contents); !done) return std::unexpected(done.error());
    return {};
  }

  // The members of a whole archive that are not goroutine code: the archive itself would bring the others a second time.
  Result<void> spread_rest(const Inputs& inputs, std::size_t word, std::vector<std::string>& command) {
    std::vector<MappedFile> files;
    auto archive = MappedFile::open(line_.words[word].path);
    if (!archive) return std::unexpected(archive.error());
    const auto members = archive_members(archive->bytes(), line_.words[word].path, files);
    if (!members) return std::unexpected(members.error());
    for (std::size_t i = 0; i < members->size(); ++i) {
      const Member& member = (*members)[i];
      const bool ours = std::ranges::any_of(
          inputs.goroutine, [&](const Input& input) { return input.word == word && input.member == member.name; });
      if (ours || !holds_relocatable(member)) continue;
      const fs::path path = directory_ / ("whole" + std::to_string(word) + "." + std::to_string(i) + "." +
                                          fs::path(member.name).filename().string());
      const std::string_view contents(reinterpret_cast<const char*>(member.bytes.data()), member.bytes.size());
      if (auto done = write_copy(path, contents); !done) return done;
      command.push_back(path.string());
    }
    return {};
  }

  const CommandLine& line_;
  fs::path directory_;
  std::set<std::size_t> goroutine_words_;
  std::set<fs::path> copies_;
  std::vector<std::string> first_;  // goroutine objects in the order of the link
};

}  // namespace

Result<Plan> make_plan(const CommandLine& line) {
  Plan plan;
  plan.plain = true;
  if (!line.links) return plan;
  auto inputs = read_inputs(line);
  if (!inputs) return std::unexpected(inputs.error());
  if (inputs->goroutine.empty()) return plan;
  if (line.shared) {
    return std::unexpected(inputs->goroutine.front().object.name() +
                           ": goroutine code in a shared library is not supported: link it into the executable");
  }
  auto calls = calls_of(*inputs);
  if (!calls) return std::unexpected(calls.error());

  const fs::path directory = fs::path(line.output.string() + ".stacktide");
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return std::unexpected(directory.string() + ": " + error.message());

  std::vector<std::string> weak;
  for (const auto& [symbol, call] : calls->direct) {
    if (call.weak) weak.push_back(symbol);
  }
  if (!weak.empty() || asks_for_archive_members(*inputs, line)) {
    const auto answer = probe(line, weak, directory);
    if (!answer) return std::unexpected(answer.error());
    if (!*answer) {
      plan.unlinkable = true;
      return plan;
    }
    std::erase_if(inputs->goroutine, [&](const Input& input) { return !is_taken(input, line, **answer); });
    if (inputs->goroutine.empty()) return plan;
    calls = calls_of(*inputs);
    if (!calls) return std::unexpected(calls.error());
    std::erase_if(calls->direct, [&](const auto& entry) {
      if (!entry.second.weak || (*answer)->defined.contains(entry.first)) return false;
      plan.expected.absent.insert(entry.first);
      return true;
    });
  }
  plan.plain = false;
  if (auto fine = check_inputs(*inputs); !fine) return std::unexpected(fine.error());
  if (auto fine = check_calls(calls->direct); !fine) return std::unexpected(fine.error());
  if (auto fine = check_user_wraps(line, *calls); !fine) return std::unexpected(fine.error());
  plan.calls = std::move(*calls);
  for (const Input& input : inputs->goroutine) expect_functions(input, plan.expected);
  plan.expected.runtime = inputs->runtime;

  Writer writer(line, *inputs, directory);
  if (auto done = writer.place_goroutine_objects(*inputs, plan); !done) return std::unexpected(done.error());
  const auto thunks = assemble(line.driver, directory, "thunks", thunk_assembly(plan.calls));
  if (!thunks) return std::unexpected(thunks.error());
  const auto maps = first_maps_object(line.driver, directory);
  if (!maps) return std::unexpected(maps.error());
  plan.directory = directory;
  if (auto done = writer.write_command(*inputs, {thunks->first, *maps}, plan); !done) return std::unexpected(done.error());
  writer.remove_stale();
  return plan;
}

Result<void> strip_program(const CommandLine& line, const fs::path& directory) {
  const fs::path answer = directory / "strip.txt";
  const auto asked = run_captured({line.driver, "-print-prog-name=strip"}, answer);
  if (!asked) return std::unexpected(asked.error());
  std::string program;
  std::getline(std::ifstream(answer), program);
  std::error_code ignored;
  fs::remove(answer, ignored);
  std::vector<std::string> command = {*asked == 0 && !program.empty() ? program : "strip"};
  command.insert(command.end(), line.strip.begin(), line.strip.end());
  command.push_back(line.output.string());
  const auto status = run_command(command);
  if (!status) return std::unexpected(status.error());
  if (*status != 0) return std::unexpected(command[0] + " could not strip " + line.output.string());
  return {};
}

std::string unchecked_definer(const CommandLine& line, std::string_view symbol) {
  const auto inputs = read_inputs(line);
  if (!inputs) return {};
  for (const Object& object : inputs->unchecked) {
    Names defined;
    add_definitions(object, defined);
    if (defined.contains(symbol)) return object.name();
  }
  return {};
}

}  // namespace stacktide::link

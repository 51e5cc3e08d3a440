// An ELF core file as a target: memory, threads and modules, and the files that belong to them.
//
// Concept. The core records paths; whether the file at a path is still the one that ran is decided by the build-id in the
// core's own memory. A file that is gone or another build is not used, and the module says why. An executable given by hand
// must fit, or opening fails.
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"
#include "stacktide/core/target.h"
#include "target/core_file.h"
#include "target/core_memory.h"
#include "target/module_list.h"

namespace stacktide {
namespace {

constexpr Address kPage = 4096;

class CoreTarget : public Target {
 public:
  CoreTarget(std::string path, CoreContents contents)
      : path_(std::move(path)), core_(std::move(contents)), memory_(core_.segments) {}

  TargetKind kind() const override { return TargetKind::core; }
  std::string description() const override;
  std::uint64_t pid() const override { return core_.pid; }
  std::string core_file() const override { return path_; }
  Memory& memory() override { return memory_; }
  const std::vector<Module>& modules() override { return modules_; }
  Result<std::vector<Thread>> threads() override;
  std::vector<std::string> damage() const override { return core_.damage; }

  Result<void> find_modules(const std::string& executable);

 private:
  Result<void> use_executable(const std::string& executable, std::vector<FoundModule>& found);
  Result<FoundModule> module_without_mappings(const std::string& executable, const Image& image);
  bool is_main(const FoundModule& found) const;
  std::optional<Address> auxiliary(std::uint64_t type) const;
  void offer_files(const std::vector<FoundModule>& found);

  std::string path_;
  CoreContents core_;
  ImageCache images_;
  CoreMemory memory_;
  std::vector<Module> modules_;  // the main executable first
};

std::string CoreTarget::description() const {
  const std::string program = modules_.empty() ? core_.program : modules_.front().path;
  return fmt::format("core {} ({})", printable(path_), program.empty() ? "unknown program" : printable(program));
}

Result<std::vector<Thread>> CoreTarget::threads() {
  if (core_.threads.empty()) return fail(ErrorCode::damaged_data, fmt::format("{} holds no thread", path_));
  return core_.threads;
}

std::optional<Address> CoreTarget::auxiliary(std::uint64_t type) const {
  const auto found = core_.auxv.find(type);
  if (found == core_.auxv.end() || found->second == 0) return std::nullopt;
  return found->second;
}

// Where the kernel told the program that its own headers, or its entry, are. Without that, the first file in memory: with
// the usual layouts that is the program.
bool CoreTarget::is_main(const FoundModule& found) const {
  const auto inside = [&](Address address) { return address >= found.module.start && address < found.module.end; };
  if (const auto headers = auxiliary(AT_PHDR)) return inside(*headers);
  if (const auto entry = auxiliary(AT_ENTRY)) return inside(*entry);
  return !core_.mappings.empty() &&
         found.first.start == std::ranges::min_element(core_.mappings, {}, &Mapping::start)->start;
}

// A core whose list of files is lost still tells by its auxiliary vector where the program's entry was.
Result<FoundModule> CoreTarget::module_without_mappings(const std::string& executable, const Image& image) {
  const auto entry = auxiliary(AT_ENTRY);
  const auto first = std::ranges::find(image.segments(), std::uint32_t{PT_LOAD}, &ElfSegment::type);
  if (!entry || first == image.segments().end()) {
    return fail(ErrorCode::damaged_data,
                fmt::format("{} does not say where its program was loaded, so {} cannot be used", path_, executable));
  }
  FoundModule found;
  found.module.path = executable;
  found.module.load_bias = *entry - image.entry();
  found.module.start = found.module.end = found.module.load_bias + first->address / kPage * kPage;
  for (const ElfSegment& segment : image.segments()) {
    if (segment.type != PT_LOAD) continue;
    found.module.end = std::max(found.module.end, found.module.load_bias + segment.address + segment.memory_size);
  }
  found.first.start = found.module.start;
  found.first.end = found.module.end;
  // With another executable than the core's this is some other place; what lies there then does not compare equal.
  if (auto headers = read_module_headers(memory_, found.module.start)) {
    found.module.build_id = headers->build_id;
    found.headers = *std::move(headers);
  }
  return found;
}

Result<void> CoreTarget::use_executable(const std::string& executable, std::vector<FoundModule>& found) {
  if (auto usable = Image::open(executable); !usable)
    return std::unexpected(usable.error());  // the cache keeps only its text
  const Image* image = images_.get(executable);
  if (image == nullptr) return fail(ErrorCode::io_error, fmt::format("{} cannot be opened", printable(executable)));
  auto main = std::ranges::find_if(found, [&](const FoundModule& module) { return is_main(module); });
  if (main == found.end()) {
    found.push_back(STACKTIDE_TRY(module_without_mappings(executable, *image)));
    main = std::prev(found.end());
  }
  const Match match = compare(*main, *image);
  if (match == Match::other) {
    return fail(ErrorCode::build_id_mismatch,
                fmt::format("{} is not the executable of core {}, which ran {} {}", printable(executable), printable(path_),
                            printable(main->module.path), build_ids(*image, main->module)));
  }
  if (match == Match::unknown) {
    core_.damage.push_back(
        fmt::format("whether {} is the program of this core cannot be checked: the core does not hold its build-id",
                    printable(executable)));
  }
  use_file(*main, executable, *image, match);
  return {};
}

Result<void> CoreTarget::find_modules(const std::string& executable) {
  std::vector<Mapping> mappings = core_.mappings;
  // The kernel does not list its own image.
  if (const auto vdso = auxiliary(AT_SYSINFO_EHDR)) {
    const CoreSegment* segment = segment_below(core_.segments, *vdso);
    if (segment != nullptr && *vdso < segment->end) {
      mappings.push_back(
          {.start = *vdso, .end = segment->end, .offset = 0, .executable = true, .deleted = false, .path = "[vdso]"});
    }
  }
  auto found = group_modules(std::move(mappings), memory_);
  std::size_t unchecked = 0;
  for (FoundModule& module : found) {
    if (module.module.path.starts_with('[')) {
      module.module.problem = "it is part of the kernel";
      continue;
    }
    if (!executable.empty() && is_main(module)) continue;
    const std::string& path = module.module.path;
    choose_file(module, std::span(&path, 1), images_, "core");
    if (module.match == Match::unknown) ++unchecked;
  }
  if (unchecked != 0) {
    core_.damage.push_back(fmt::format(
        "{} files could not be checked against the core, which holds neither their headers nor their build-ids", unchecked));
  }
  if (!executable.empty()) {
    if (auto used = use_executable(executable, found); !used) return used;
  }
  std::ranges::stable_partition(found, [&](const FoundModule& module) { return is_main(module); });
  for (const FoundModule& module : found) {
    // The kernel's image needs no file. A file that no longer fits is a loss worth a line.
    if (module.module.file.empty() && !module.module.path.starts_with('[')) core_.damage.push_back(module.module.problem);
  }
  offer_files(found);
  for (FoundModule& module : found) modules_.push_back(std::move(module.module));
  return {};
}

// Lets memory take from the files what the core left out.
void CoreTarget::offer_files(const std::vector<FoundModule>& found) {
  std::vector<CoreMemory::FileRange> files;
  for (const FoundModule& module : found) {
    if (module.module.file.empty() || module.match != Match::same) continue;
    const Image* image = images_.get(module.module.file);
    if (image == nullptr) continue;
    for (const ElfSegment& segment : image->segments()) {
      if (segment.type != PT_LOAD || (segment.flags & PF_W) != 0) continue;
      const Address start = std::max(module.module.load_bias + segment.address, module.module.start);
      const Address end = std::min(module.module.load_bias + segment.address + segment.file_size, module.module.end);
      if (start < end) files.push_back({start, end, module.module.load_bias, image});
    }
  }
  std::ranges::stable_sort(files, {}, &CoreMemory::FileRange::start);
  // Segments of a file may share a page; the earlier one ends where the next begins.
  for (std::size_t i = 0; i + 1 < files.size(); ++i) files[i].end = std::min(files[i].end, files[i + 1].start);
  memory_.set_files(std::move(files));
}

}  // namespace

Result<std::unique_ptr<Target>> open_core(const std::string& path, const CoreOptions& options) {
  auto target = std::make_unique<CoreTarget>(path, STACKTIDE_TRY(read_core_file(path)));
  if (auto found = target->find_modules(options.executable); !found) return std::unexpected(found.error());
  return target;
}

}  // namespace stacktide

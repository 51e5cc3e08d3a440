#include "producers/find.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "elf/module_headers.h"
#include "stacktide/abi.h"

namespace stacktide {
namespace {

// At most so many candidates are tried: each costs a read.
constexpr std::size_t kMaxCandidates = 64;

struct Candidate {
  Address address = 0;
  std::string producer;
};

class Search {
 public:
  Search(Target& target, ImageCache& images, Symbolizer& symbolizer)
      : target_(target), images_(images), symbolizer_(symbolizer) {}

  Result<FoundDescriptor> run() {
    for (const auto& module : target_.modules()) notes_in_memory(module);
    if (auto found = first_valid()) return std::move(*found);
    for (const auto& module : target_.modules()) notes_in_file(module);
    if (auto found = first_valid()) return std::move(*found);
    if (const auto address = symbolizer_.address_of(STACKTIDE_SYMBOL)) add(*address, "symbol " STACKTIDE_SYMBOL);
    if (auto found = first_valid()) return std::move(*found);
    if (problem_) return std::unexpected(*problem_);
    return fail(ErrorCode::no_runtime, fmt::format("no goroutine runtime in {}", target_.description()));
  }

 private:
  void add(Address address, std::string producer) {
    if (seen_.size() < kMaxCandidates && seen_.insert(address).second) candidates_.push_back({address, std::move(producer)});
  }

  // The payload holds the distance from itself to the block.
  void notes(std::span<const std::byte> block, std::uint64_t alignment, Address address, const std::string& producer) {
    for_each_note(block, alignment,
                  [&](std::string_view name, std::uint32_t type, std::uint64_t offset, std::span<const std::byte> payload) {
                    std::int64_t distance = 0;
                    if (name == STACKTIDE_NOTE_NAME && type == STACKTIDE_NOTE_TYPE && payload.size() >= sizeof distance) {
                      std::memcpy(&distance, payload.data(), sizeof distance);
                      add(address + offset + static_cast<std::uint64_t>(distance), producer);
                    }
                    return true;
                  });
  }

  void notes_in_memory(const Module& module) {
    const auto headers = read_module_headers(target_.memory(), module.start);
    if (!headers) return;
    for (const auto& block : headers->notes) notes(block.bytes, block.alignment, block.address, "note in " + module.path);
  }

  void notes_in_file(const Module& module) {
    if (module.file.empty()) return;
    const auto* image = images_.get(module.file);
    if (image == nullptr) return;
    constexpr std::uint32_t kNoteSegment = 4;  // PT_NOTE
    constexpr std::uint64_t kMaxNotes = 1U << 16;
    for (const auto& segment : image->segments()) {
      if (segment.type != kNoteSegment || segment.file_size > kMaxNotes) continue;
      const auto bytes = image->bytes();
      if (segment.offset > bytes.size() || segment.file_size > bytes.size() - segment.offset) continue;
      // With a p_align of 8 our payload would begin at the same offset: the name ends at 22, and 24 is a multiple of both.
      notes(bytes.subspan(segment.offset, segment.file_size), 4, segment.address + module.load_bias,
            "note in file " + module.file);
    }
  }

  std::optional<FoundDescriptor> first_valid() {
    for (auto& candidate : candidates_) {
      auto descriptor = read_descriptor(target_.memory(), candidate.address);
      if (descriptor) return FoundDescriptor{std::move(*descriptor), std::move(candidate.producer)};
      if (!problem_) {
        problem_ = descriptor.error();
        if (problem_->code == ErrorCode::memory_fault) problem_->context = "the runtime's descriptor is not there";
        if (problem_->code != ErrorCode::not_started)
          problem_->context += fmt::format(", by its {}", candidate.producer);
      }
    }
    candidates_.clear();
    return std::nullopt;
  }

  Target& target_;
  ImageCache& images_;
  Symbolizer& symbolizer_;
  std::set<Address> seen_;
  std::vector<Candidate> candidates_;
  std::optional<Error> problem_;
};

}  // namespace

Result<FoundDescriptor> find_descriptor(Target& target, ImageCache& images, Symbolizer& symbolizer) {
  return Search(target, images, symbolizer).run();
}

}  // namespace stacktide

#include "walk/load_stack_maps.h"

#include <fmt/format.h>

#include "symbols/debug_files.h"
#include "unwind/memory_view.h"

namespace stacktide {
namespace {

Error cannot_read(const StackMapsInfo& info, const Module* module, const Error& error) {
  if (module == nullptr) return error;
  if (module->file.empty()) {
    return {ErrorCode::not_supported, 0,
            fmt::format("the stack maps are not in the target's memory, and {}: give the executable with --exe",
                        module->problem.empty() ? module->path + " is gone" : module->problem)};
  }
  return {error.code, error.address,
          fmt::format("the stack maps of {}, {} bytes at {:#x}: {}", module->path, info.size, info.address, error.context)};
}

// Its own section, or that of its separate debug file. Empty: there is none, as in a stripped program.
std::vector<std::byte> names_of(const Module& module, ImageCache& images) {
  Image* image = module.file.empty() ? nullptr : images.get(module.file);
  if (image == nullptr) return {};
  if (auto own = read_section(*image, STACKTIDE_NAMES_SECTION, kMaxMapBytes)) return std::move(*own);
  Image* debug = find_debug_file(module, *image, images);
  if (debug == nullptr) return {};
  return read_section(*debug, STACKTIDE_NAMES_SECTION, kMaxMapBytes).value_or(std::vector<std::byte>{});
}

}  // namespace

Result<LoadedMaps> load_stack_maps(const StackMapsInfo& info, Memory& memory, const std::vector<Module>& modules,
                                   ImageCache& images) {
  if (info.address == 0 || info.size == 0) {
    return fail(ErrorCode::not_supported,
                "the program has no stack maps: link it with stacktide_goroutines(target), by a stacktide-link that writes "
                "them, and with -g");
  }
  if (info.size > kMaxMapBytes) {
    return fail(ErrorCode::damaged_data, fmt::format("stack maps of {} bytes, more than {}", info.size, kMaxMapBytes),
                info.address);
  }
  // A core leaves out clean pages of files, and so the maps.
  MemoryView view(memory, modules, images);
  view.refresh();
  const Module* module = view.module_at(info.address);
  std::vector<std::byte> bytes(info.size);
  if (auto done = view.read(info.address, bytes); !done) return std::unexpected(cannot_read(info, module, done.error()));
  auto names = module == nullptr ? std::vector<std::byte>{} : names_of(*module, images);
  if (names.empty()) return LoadedMaps{STACKTIDE_TRY(StackMaps::parse(std::move(bytes), info.address, {})), ""};
  auto both = StackMaps::parse(bytes, info.address, std::move(names));
  if (both) return LoadedMaps{std::move(*both), ""};
  // The maps may be sound all the same.
  const auto problem = describe(both.error());
  return LoadedMaps{STACKTIDE_TRY(StackMaps::parse(std::move(bytes), info.address, {})), problem};
}

}  // namespace stacktide

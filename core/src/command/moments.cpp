#include "command/moments.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>

#include "base/mapped_file.h"
#include "stacktide/trace_file.h"

namespace stacktide {

Result<MomentKind> moment_kind(const MomentSource& source) {
  if (source.path == "-") return MomentKind::list;
  constexpr std::size_t kFirst = 64;
  const auto first = STACKTIDE_TRY(read_text_file(source.path, kFirst));
  std::uint64_t magic = 0;
  if (first.size() >= sizeof magic) std::memcpy(&magic, first.data(), sizeof magic);
  if (magic == STACKTIDE_TRACE_MAGIC) return MomentKind::trace;
  if (first.starts_with("\x7f"
                        "ELF"))
    return MomentKind::core;
  if (const auto text = first.find_first_not_of(" \t\r\n"); text != std::string::npos && first[text] == '{')
    return MomentKind::list;
  return fail(ErrorCode::usage,
              fmt::format("{} is neither a core, nor the output of `list --json`, nor a recording", source.path));
}

Result<Moment> read_moment(const MomentSource& source, MomentKind kind, const MomentWish& wish) {
  switch (kind) {
    case MomentKind::core:
      return read_core_moment(source, wish);
    case MomentKind::list:
      return read_list_moment(source, wish);
    case MomentKind::trace:
      return read_trace_moment(source, wish);
  }
  return fail(ErrorCode::usage, source.path);
}

}  // namespace stacktide

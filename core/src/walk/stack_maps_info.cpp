// Where the program's stack maps lie, and the runtime's counters about them.
#include <fmt/format.h>

#include "walk/parts.h"

namespace stacktide {

void walk_stack_maps(WalkContext& context) {
  const auto* root = context.descriptor.root("stack_maps");
  if (root->address == 0 || root->count == 0) return;
  const auto& fields = context.layout.stack_maps;
  std::vector<std::byte> bytes(fields.record_size);
  if (auto done = context.target.memory().read(root->address, bytes); !done) {
    context.snapshot.damage.push_back(fmt::format("stack maps: {}", describe(done.error())));
    return;
  }
  const Record record(bytes);
  StackMapsInfo info;
  info.address = record.number(fields.address);
  info.size = record.number(fields.size);
  if (fields.adjust)
    info.adjust = enum_text(enum_texts(context.descriptor, "stack_maps", "adjust"), record.signed_number(fields.adjust));
  info.walks = record.number(fields.walks);
  info.complete = record.number(fields.complete);
  info.frames = record.number(fields.frames);
  info.words_skipped = record.number(fields.words_skipped);
  info.words_checked = record.number(fields.words_checked);
  info.words_scanned = record.number(fields.words_scanned);
  info.lookalikes = record.number(fields.lookalikes);
  context.snapshot.stack_maps = std::move(info);
}

}  // namespace stacktide

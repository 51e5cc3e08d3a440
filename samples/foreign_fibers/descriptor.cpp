// The library's stacktide descriptor: all that makes its fibers inspectable. runtime/abi/README.md explains each step.
//
// Concept. The block of abi.h is filled in once, before the first fiber, and never changes: its only root is the address of a
// static table.
#include "descriptor.h"

#include <stacktide/abi.h>

#include <cstddef>
#include <cstring>

namespace fibers {

struct Block {
  stacktide_header header;
  stacktide_type types[2];  // from here to names: the constant part
  stacktide_field fields[19];
  stacktide_enum enums[8];
  stacktide_constant constants[1];
  stacktide_contract contracts[2];
  char names[400];
  stacktide_root roots[1];
};

// Tools find it by this symbol, and by the note where there are no symbols.
extern "C" {
__attribute__((section(STACKTIDE_SECTION), used)) Block stacktide_descriptor = {};
}
STACKTIDE_NOTE(stacktide_descriptor);

void publish() {
  Block& b = stacktide_descriptor;
  if (b.header.magic != 0) return;
  char* end = b.names;
  const auto name = [&](const char* text) {
    const auto at = static_cast<std::uint32_t>(end - b.names);
    end = stpcpy(end, text) + 1;
    return at;
  };
  b.types[0] = {name("goroutine"), sizeof(Fiber)}, b.types[1] = {name("slab"), sizeof(Table)};
  stacktide_field* field = b.fields;
#define FIELD(type, T, text, member, kind) \
  *field++ = {type, name(text), offsetof(T, member), sizeof(static_cast<T*>(nullptr)->member), STACKTIDE_KIND_##kind}
#define REGISTER(text, index) FIELD(0, Fiber, text, context.uc_mcontext.gregs[index], ADDRESS)
  FIELD(0, Fiber, "id", id, UNSIGNED), FIELD(0, Fiber, "label", name, TEXT), FIELD(0, Fiber, "status", state, ENUM);
  FIELD(0, Fiber, "wait_reason", wait, ENUM), FIELD(0, Fiber, "wait_object", object, ADDRESS);
  FIELD(0, Fiber, "stack_lo", stack, ADDRESS), FIELD(0, Fiber, "stack_hi", stack_end, ADDRESS);
  FIELD(0, Fiber, "entry_pc", entry, ADDRESS);
  REGISTER("pc", REG_RIP), REGISTER("sp", REG_RSP), REGISTER("bp", REG_RBP), REGISTER("rbx", REG_RBX);
  REGISTER("r12", REG_R12), REGISTER("r13", REG_R13), REGISTER("r14", REG_R14), REGISTER("r15", REG_R15);
  FIELD(1, Table, "address", fibers, ADDRESS), FIELD(1, Table, "capacity", capacity, UNSIGNED);
  FIELD(1, Table, "used", used, UNSIGNED);
  const auto status = name("status"), reason = name("wait_reason"), own = name("runtime_symbol");
  stacktide_enum* entry = b.enums;
#define ENUM(of, text, value) *entry++ = {of, name(text), static_cast<int>(value)}
  ENUM(status, "runnable", State::ready), ENUM(status, "running", State::running);
  ENUM(status, "waiting", State::waiting), ENUM(reason, "", Wait::none);
  ENUM(reason, "event", Wait::event), ENUM(reason, "join", Wait::join);
  ENUM(own, "_ZN6fibers", 0), ENUM(own, "fibers", 1);
  b.constants[0] = {name("stacks_fixed"), 0, 1};
  b.contracts[0] = {name("goroutines"), 1}, b.contracts[1] = {name("saved_context"), 1};
  b.roots[0] = {name("goroutine_slabs"), 1, reinterpret_cast<std::uint64_t>(tables), sizeof(Table), 0, 1};
  b.header.total_size = sizeof b;
  b.header.constant_offset = offsetof(Block, types);
  b.header.constant_size = offsetof(Block, roots) - offsetof(Block, types);
#define TABLE(member) b.header.member = {offsetof(Block, member), sizeof b.member / sizeof b.member[0], sizeof b.member[0]}
  TABLE(types), TABLE(fields), TABLE(enums), TABLE(constants), TABLE(contracts), TABLE(names), TABLE(roots);
  stacktide_publish(&b.header);
}

}  // namespace fibers

#include "descriptor/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <initializer_list>

namespace stacktide {
namespace {

bool is_number(std::uint32_t kind) {
  return kind == STACKTIDE_KIND_UNSIGNED || kind == STACKTIDE_KIND_SIGNED || kind == STACKTIDE_KIND_ADDRESS ||
         kind == STACKTIDE_KIND_ENUM;
}

// Numbers stand in for each other (an id may be signed elsewhere); text and rows of addresses do not.
bool compatible(std::uint32_t wanted, std::uint32_t found) {
  return wanted == found || (is_number(wanted) && is_number(found));
}

class Resolver {
 public:
  explicit Resolver(const Descriptor& descriptor) : descriptor_(descriptor) {
    for (const auto& field : descriptor.fields)
      fields_.emplace(std::pair(descriptor.types[field.type].name, field.name), &field);
  }

  void resolve(const char* type, const char* name, std::uint32_t kind, FieldRef& out) {
    if (!resolve_optional(type, name, kind, out)) missing_[type].push_back(name);
  }

  // False, and nothing to say, when it is not there.
  bool resolve_optional(const char* type, const char* name, std::uint32_t kind, FieldRef& out) const {
    const auto found = fields_.find(std::pair<std::string, std::string>(type, name));
    if (found == fields_.end() || !compatible(kind, found->second->kind)) return false;
    out = {found->second->offset, found->second->width, found->second->kind};
    return true;
  }

  std::uint32_t size_of(std::string_view type) const {
    for (const auto& known : descriptor_.types) {
      if (known.name == type) return known.size;
    }
    return 0;
  }

  // Missing fields by type; those of a type that is not there at all are named by the features that need it.
  std::vector<std::string> missing_lines() const {
    std::vector<std::string> lines;
    for (const auto& [type, names] : missing_) {
      if (size_of(type) != 0) lines.push_back(fmt::format("{}.{} not exported: unknown", type, fmt::join(names, ", ")));
    }
    return lines;
  }

 private:
  const Descriptor& descriptor_;
  std::map<std::pair<std::string, std::string>, const Descriptor::Field*> fields_;
  std::map<std::string, std::vector<std::string>> missing_;
};

struct NeededField {
  const char* name;
  const FieldRef& field;
};
struct NeededRoot {
  const char* name;
  const char* type;
};

// Is there all that a feature cannot do without? Says what is not.
bool exported(const Descriptor& descriptor, const char* loss, std::initializer_list<NeededField> fields,
              std::initializer_list<NeededRoot> roots, std::vector<std::string>& disabled) {
  for (const auto& [name, field] : fields) {
    if (field) continue;
    disabled.push_back(fmt::format("{} is not exported: {} off", name, loss));
    return false;
  }
  for (const auto& [name, type] : roots) {
    const auto* root = descriptor.root(name);
    if (root != nullptr && root->type != STACKTIDE_NO_TYPE && descriptor.types[root->type].name == type) continue;
    disabled.push_back(fmt::format("root {} of type {} is not exported: {} off", name, type, loss));
    return false;
  }
  return true;
}

// Decides one feature and says why it is off.
bool feature(const Descriptor& descriptor, const char* contract, std::uint32_t known, const char* loss,
             std::initializer_list<NeededField> fields, std::initializer_list<NeededRoot> roots,
             std::vector<std::string>& disabled) {
  const auto found = descriptor.contracts.find(contract);
  if (found == descriptor.contracts.end()) {
    disabled.push_back(fmt::format("contract {} is not exported: {} off", contract, loss));
    return false;
  }
  if (found->second != known) {
    disabled.push_back(
        fmt::format("contract {} is version {}, this stacktide knows {}: {} off", contract, found->second, known, loss));
    return false;
  }
  return exported(descriptor, loss, fields, roots, disabled);
}

std::uint32_t known_version(std::string_view contract) {
#define STACKTIDE_KNOWN(name, version) \
  if (contract == #name) return version;
  STACKTIDE_CONTRACTS(STACKTIDE_KNOWN)
#undef STACKTIDE_KNOWN
  return 0;
}

}  // namespace

Layout make_layout(const Descriptor& descriptor) {
  Layout layout;
  Resolver resolver(descriptor);
#define STACKTIDE_RESOLVE(type, name, kind) resolver.resolve(#type, #name, STACKTIDE_KIND_##kind, layout.type.name);
  STACKTIDE_FIELDS(STACKTIDE_RESOLVE)
#undef STACKTIDE_RESOLVE
#define STACKTIDE_RESOLVE(type, name, kind) \
  resolver.resolve_optional(#type, #name, STACKTIDE_KIND_##kind, layout.saved.name);
  STACKTIDE_FIELDS_OPTIONAL(STACKTIDE_RESOLVE)
#undef STACKTIDE_RESOLVE
#define STACKTIDE_SIZE(type) layout.type.record_size = resolver.size_of(#type);
  STACKTIDE_TYPES(STACKTIDE_SIZE)
#undef STACKTIDE_SIZE

#define STACKTIDE_NEED(type, name) \
  NeededField { #type "." #name, layout.type.name }
  const auto decide = [&](const char* contract, const char* loss, std::initializer_list<NeededField> fields,
                          std::initializer_list<NeededRoot> roots) {
    return feature(descriptor, contract, known_version(contract), loss, fields, roots, layout.disabled);
  };
  layout.goroutines =
      decide("goroutines", "the list of goroutines is",
             {STACKTIDE_NEED(slab, address), STACKTIDE_NEED(slab, used), STACKTIDE_NEED(goroutine, id),
              STACKTIDE_NEED(goroutine, status), STACKTIDE_NEED(goroutine, stack_lo), STACKTIDE_NEED(goroutine, stack_hi)},
             {{"goroutine_slabs", "slab"}});
  layout.saved_context = decide("saved_context", "backtraces of parked goroutines are",
                                {STACKTIDE_NEED(goroutine, sp), STACKTIDE_NEED(goroutine, pc)}, {});
  layout.segments = decide("segments", "older stack segments are",
                           {STACKTIDE_NEED(goroutine, segments), STACKTIDE_NEED(segment, lo), STACKTIDE_NEED(segment, hi),
                            STACKTIDE_NEED(segment, previous)},
                           {});
  layout.scheduler_on = decide("scheduler", "sched is", {STACKTIDE_NEED(m, id), STACKTIDE_NEED(p, id)},
                               {{"ms", "m"}, {"ps", "p"}, {"scheduler", "scheduler"}});
  layout.events =
      decide("events", "history is",
             {STACKTIDE_NEED(event, time), STACKTIDE_NEED(event, goroutine), STACKTIDE_NEED(event, kind),
              STACKTIDE_NEED(event, old_size), STACKTIDE_NEED(event, new_size), STACKTIDE_NEED(event_ring, records),
              STACKTIDE_NEED(event_ring, capacity), STACKTIDE_NEED(event_ring, count)},
             {{"event_rings", "event_ring"}});
  layout.stack_maps_on =
      decide("stack_maps", "stackmap is", {STACKTIDE_NEED(stack_maps, address), STACKTIDE_NEED(stack_maps, size)},
             {{"stack_maps", "stack_maps"}});
  layout.hot_splits =
      exported(descriptor, "the list of boundaries is", {STACKTIDE_NEED(hot_split, pc), STACKTIDE_NEED(hot_split, count)},
               {{"hot_splits", "hot_split"}}, layout.disabled);
  if (descriptor.contracts.contains("wait_objects")) {
    layout.wait_objects =
        decide("wait_objects", "what goroutines wait for is",
               {STACKTIDE_NEED(channel, capacity), STACKTIDE_NEED(channel, length), STACKTIDE_NEED(channel, head),
                STACKTIDE_NEED(channel, ring), STACKTIDE_NEED(channel, receivers), STACKTIDE_NEED(channel, senders),
                STACKTIDE_NEED(mutex, word), STACKTIDE_NEED(mutex, waiters), STACKTIDE_NEED(wait_group, count),
                STACKTIDE_NEED(wait_group, waiters), STACKTIDE_NEED(wait_queue, first), STACKTIDE_NEED(wait_queue, length),
                STACKTIDE_NEED(waiter, goroutine), STACKTIDE_NEED(waiter, next)},
               {});
  }
#undef STACKTIDE_NEED
  for (auto& line : resolver.missing_lines()) layout.disabled.push_back(std::move(line));
  return layout;
}

const EnumTexts* enum_texts(const Descriptor& descriptor, std::string_view type, std::string_view field) {
  auto found = descriptor.enums.find(fmt::format("{}_{}", type, field));
  if (found == descriptor.enums.end()) found = descriptor.enums.find(field);
  return found == descriptor.enums.end() ? nullptr : &found->second;
}

}  // namespace stacktide

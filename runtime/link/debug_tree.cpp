#include "debug_tree.h"

#include <dwarf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace stacktide::link {
namespace {

// Deeper nesting is not believed.
constexpr int kMaxDepth = 200;

bool holds_scopes(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
      return true;
    default:
      return false;
  }
}

bool is_named_type(int tag) {
  return tag == DW_TAG_class_type || tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
         tag == DW_TAG_enumeration_type || tag == DW_TAG_typedef;
}

// A lambda's type: GCC gives it no name, and a call operator.
bool is_closure(Dwarf_Die& type) {
  bool found = false;
  if (is_class(type)) each_child(type, [&](Dwarf_Die& child) { found = found || name_of(child) == "operator()"; });
  return found;
}

}  // namespace

Result<DebugTree> DebugTree::open(const std::filesystem::path& program) {
  const int fd = ::open(program.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(program.string() + ": " + std::strerror(errno));
  Dwarf* dwarf = dwarf_begin(fd, DWARF_C_READ);
  if (dwarf == nullptr) {
    const std::string reason = dwarf_errmsg(-1);
    ::close(fd);
    return std::unexpected(program.string() + ": no debug information, which stack maps are made from (" + reason +
                           "): compile with -g, and strip afterwards");
  }
  DebugTree tree(fd, dwarf);
  Dwarf_CU* unit = nullptr;
  Dwarf_Die root;
  Dwarf_Die split;
  bool any = false;
  while (dwarf_get_units(dwarf, unit, &unit, nullptr, nullptr, &root, &split) == 0) {
    any = true;
    tree.visit(split.addr != nullptr ? split : root, 0);
  }
  if (!any)
    return std::unexpected(program.string() +
                           ": its debug information is damaged or empty: compile with -g, and strip afterwards");
  return tree;
}

DebugTree::DebugTree(DebugTree&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      dwarf_(std::exchange(other.dwarf_, nullptr)),
      functions_(std::move(other.functions_)),
      named_(std::move(other.named_)),
      scopes_(std::move(other.scopes_)),
      classes_(std::move(other.classes_)),
      definitions_(std::move(other.definitions_)) {}

DebugTree::~DebugTree() {
  if (dwarf_ != nullptr) dwarf_end(dwarf_);
  if (fd_ >= 0) ::close(fd_);
}

void DebugTree::visit(Dwarf_Die parent, int depth) {
  if (depth > kMaxDepth) return;
  const int around = dwarf_tag(&parent);
  const bool outermost = around == DW_TAG_compile_unit || around == DW_TAG_partial_unit || around == DW_TAG_type_unit ||
                         around == DW_TAG_skeleton_unit;
  each_child(parent, [&](Dwarf_Die& child) {
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_subprogram) {
      Dwarf_Addr entry = 0;
      if (dwarf_entrypc(&child, &entry) == 0 && entry != 0) functions_.emplace(entry, child);
      Dwarf_Attribute attribute;
      const char* name = dwarf_formstring(dwarf_attr(&child, DW_AT_linkage_name, &attribute));
      if (name == nullptr && dwarf_attr(&child, DW_AT_external, &attribute) != nullptr) name = dwarf_diename(&child);
      if (name != nullptr) named_.emplace(name, child);
    }
    if (is_named_type(tag) || tag == DW_TAG_namespace) {
      if (!outermost) scopes_.emplace(child.addr, parent);
      if (is_class(child) && !flag_of(child, DW_AT_declaration)) classes_.push_back(child);
    }
    if (holds_scopes(tag)) visit(child, depth + 1);
  });
}

Dwarf_Die* DebugTree::function_at(std::uint64_t address) {
  const auto found = functions_.find(address);
  return found == functions_.end() ? nullptr : &found->second;
}

Dwarf_Die* DebugTree::function_named(const std::string& linkage_name) {
  const auto found = named_.find(linkage_name);
  return found == named_.end() ? nullptr : &found->second;
}

std::optional<Dwarf_Die> DebugTree::scope_of(Dwarf_Die& type) const {
  const auto found = scopes_.find(type.addr);
  if (found == scopes_.end()) return std::nullopt;
  return found->second;
}

std::string DebugTree::qualified_name(Dwarf_Die& type) const {
  std::string name = name_of(type);
  if (name.empty()) name = is_closure(type) ? "{lambda}" : "{unnamed}";
  auto scope = scope_of(type);
  for (int depth = 0; scope && depth < kMaxDepth; ++depth) {
    const int tag = dwarf_tag(&*scope);
    // An inline namespace such as std::__cxx11 is not written by people.
    if (tag != DW_TAG_lexical_block && !(tag == DW_TAG_namespace && flag_of(*scope, DW_AT_export_symbols))) {
      std::string outer = name_of(*scope);
      if (outer.empty()) outer = tag == DW_TAG_namespace ? "(anonymous namespace)" : "{unnamed}";
      name = outer + "::" + name;
    }
    scope = scope_of(*scope);
  }
  return name;
}

std::optional<Dwarf_Die> DebugTree::definition_of(Dwarf_Die& declaration) {
  if (!definitions_) {
    definitions_.emplace();
    for (Dwarf_Die& type : classes_) definitions_->emplace(qualified_name(type), type);
  }
  const auto found = definitions_->find(qualified_name(declaration));
  if (found == definitions_->end()) return std::nullopt;
  return found->second;
}

HowCompiled how_compiled(Dwarf_Die& function) {
  HowCompiled how;
  Dwarf_Die unit;
  Dwarf_Attribute attribute;
  if (dwarf_diecu(&function, &unit, nullptr, nullptr) == nullptr) return how;
  const char* producer = dwarf_formstring(dwarf_attr(&unit, DW_AT_producer, &attribute));
  if (producer == nullptr) return how;
  std::string_view options(producer);
  how.lives_kept = options.find(" -fstack-reuse=none") != options.npos && options.find(" -fno-lifetime-dse") != options.npos;
  how.optimised = false;
  how.variables = true;
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(' '), options.size());
    const std::string_view word = options.substr(0, end);
    if (word.starts_with("-O")) how.optimised = word != "-O0";
    if (word == "-g" || word == "-g2" || word == "-g3" || word.starts_with("-ggdb")) how.variables = true;
    if (word == "-g1" || word == "-ggdb1" || word == "-g0") how.variables = false;
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return how;
}

std::optional<Dwarf_Die> type_of(Dwarf_Die& entry) {
  Dwarf_Attribute attribute;
  Dwarf_Die type;
  if (dwarf_attr_integrate(&entry, DW_AT_type, &attribute) == nullptr || dwarf_formref_die(&attribute, &type) == nullptr)
    return std::nullopt;
  return type;
}

std::optional<Dwarf_Die> peeled(Dwarf_Die type) {
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    switch (dwarf_tag(&type)) {
      case DW_TAG_typedef:
      case DW_TAG_const_type:
      case DW_TAG_volatile_type:
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type:
        break;
      default:
        return type;
    }
    const auto next = type_of(type);
    if (!next) return std::nullopt;
    type = *next;
  }
  return std::nullopt;
}

bool is_class(Dwarf_Die& type) {
  const int tag = dwarf_tag(&type);
  return tag == DW_TAG_class_type || tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

bool flag_of(Dwarf_Die& entry, unsigned int name) {
  Dwarf_Attribute attribute;
  bool flag = false;
  return dwarf_attr_integrate(&entry, name, &attribute) != nullptr && dwarf_formflag(&attribute, &flag) == 0 && flag;
}

std::string name_of(Dwarf_Die& entry) {
  const char* name = dwarf_diename(&entry);
  return name == nullptr ? "" : name;
}

}  // namespace stacktide::link

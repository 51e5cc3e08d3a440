#include "symbols/debug_info.h"

#include <dwarf.h>
#include <fcntl.h>
#include <libelf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "symbols/names.h"
#include "symbols/symbolizer.h"

namespace stacktide {
namespace {

constexpr int kMaxDepth = 256;           // nesting of scopes; deeper is not C++ that a compiler wrote
constexpr std::size_t kMaxLevels = 256;  // functions inlined into each other
constexpr int kMaxOrigins = 16;          // steps from a function to its declaration

bool contains(Dwarf_Die& die, Dwarf_Addr address) { return dwarf_haspc(&die, address) > 0; }

// Calls visit(child) for each child until it returns false.
template <class Visit>
void for_each_child(Dwarf_Die parent, Visit visit) {
  Dwarf_Die child;
  if (dwarf_child(&parent, &child) != 0) return;
  do {
    if (!visit(child)) return;
  } while (dwarf_siblingof(&child, &child) == 0);
}

bool may_hold_functions(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
      return true;
    default:
      return false;
  }
}

// The die that `die` was made from: its abstract instance or its declaration in the class.
bool origin_of(Dwarf_Die& die, Dwarf_Die& origin) {
  Dwarf_Attribute attribute;
  for (unsigned int kind : {DW_AT_abstract_origin, DW_AT_specification})
    if (dwarf_attr(&die, kind, &attribute) != nullptr && dwarf_formref_die(&attribute, &origin) != nullptr) return true;
  return false;
}

Dwarf_Die declaration_of(Dwarf_Die die) {
  for (int i = 0; i < kMaxOrigins; ++i) {
    Dwarf_Die origin;
    if (!origin_of(die, origin)) break;
    die = origin;
  }
  return die;
}

const char* own_name(Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  return dwarf_formstring(dwarf_attr_integrate(&die, DW_AT_name, &attribute));
}

// "a::(anonymous namespace)::b": the scopes of a declaration, outermost first, then its name. Enclosing functions appear
// with their own name.
std::string qualified_name(Dwarf_Die function) {
  Dwarf_Die declaration = declaration_of(function);
  const char* name = own_name(declaration);
  if (name == nullptr) return "";
  std::string result = name;
  Dwarf_Die* scopes = nullptr;
  int count = dwarf_getscopes_die(&declaration, &scopes);
  for (int i = 1; i < count; ++i) {
    const char* scope = own_name(scopes[i]);
    switch (dwarf_tag(&scopes[i])) {
      case DW_TAG_namespace:
        result = std::string(scope != nullptr ? scope : "(anonymous namespace)") + "::" + result;
        break;
      case DW_TAG_class_type:
      case DW_TAG_structure_type:
      case DW_TAG_union_type:
      case DW_TAG_enumeration_type:
        // GCC leaves the class of a lambda without a name, and its functions without a linkage name where the enclosing
        // function has none.
        result = std::string(scope != nullptr                   ? scope
                             : result.starts_with("operator()") ? "{lambda}"
                                                                : "{unnamed}") +
                 "::" + result;
        break;
      case DW_TAG_subprogram: {
        const char* linkage = linkage_name_of(scopes[i]);
        std::string outer =
            linkage != nullptr ? without_signature(demangle(linkage)) : std::string(scope != nullptr ? scope : "");
        if (!outer.empty()) result = outer + "::" + result;
        break;
      }
      default:
        break;
    }
  }
  std::free(scopes);  // libdw allocates them with malloc
  return result;
}

void fill_call_site(Dwarf_Die& inlined, Level& caller) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_line, &attribute), &value) == 0)
    caller.line = static_cast<std::uint32_t>(value);
  Dwarf_Die unit;
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_file, &attribute), &value) != 0) return;
  if (dwarf_diecu(&inlined, &unit, nullptr, nullptr) == nullptr || dwarf_getsrcfiles(&unit, &files, &count) != 0 ||
      value >= count)
    return;
  if (const char* path = dwarf_filesrc(files, value, nullptr, nullptr)) caller.file = path;
}

bool line_of(Dwarf_Die& unit, Dwarf_Addr address, std::string& file, std::uint32_t& number) {
  Dwarf_Line* line = dwarf_getsrc_die(&unit, address);
  int value = 0;
  if (line == nullptr || dwarf_lineno(line, &value) != 0 || value <= 0) return false;
  const char* path = dwarf_linesrc(line, nullptr, nullptr);
  if (path == nullptr) return false;
  file = path;
  number = static_cast<std::uint32_t>(value);
  return true;
}

// Appends the inlined functions below `scope` that contain the address, outermost first.
void collect_inlined(Dwarf_Die scope, Dwarf_Addr address, std::vector<Dwarf_Die>& chain) {
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    bool found = false;
    Dwarf_Die inner{};
    for_each_child(scope, [&](Dwarf_Die& child) {
      int tag = dwarf_tag(&child);
      if ((tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) || !contains(child, address)) return true;
      inner = child;
      found = true;
      return false;
    });
    if (!found) return;
    if (dwarf_tag(&inner) == DW_TAG_inlined_subroutine) chain.push_back(inner);
    if (chain.size() >= kMaxLevels) return;
    scope = inner;
  }
}

// Appends what is inlined below `scope`, each before what is inlined into it.
void collect_calls(Dwarf_Die scope, int depth, std::size_t limit, std::vector<InlinedCall>& calls) {
  if (depth > kMaxDepth) return;
  for_each_child(scope, [&](Dwarf_Die& child) {
    if (calls.size() >= limit) return false;
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_inlined_subroutine) {
      Level at;
      fill_call_site(child, at);
      calls.push_back({name_of(child), at.file, at.line});
    }
    if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block) collect_calls(child, depth + 1, limit, calls);
    return true;
  });
}

}  // namespace

const char* linkage_name_of(Dwarf_Die& function) {
  Dwarf_Attribute attribute;
  for (unsigned int kind : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name})
    if (const char* name = dwarf_formstring(dwarf_attr_integrate(&function, kind, &attribute))) return name;
  return nullptr;
}

std::string name_of(Dwarf_Die& function) {
  if (const char* linkage = linkage_name_of(function)) {
    return without_signature(demangle(linkage));  // also "__GI_raise", which GDB and LLDB prefer to "raise"
  }
  return qualified_name(function);
}

std::vector<Parameter> parameters_of(Dwarf_Die& function) {
  std::vector<Parameter> parameters;
  auto read = [&](Dwarf_Die& entry) {
    Parameter parameter;
    parameter.entry = entry;
    if (const char* name = own_name(entry)) parameter.name = name;
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(&entry, DW_AT_type, &attribute) == nullptr ||
        dwarf_formref_die(&attribute, &parameter.type) == nullptr)
      parameter.type = {};
    parameters.push_back(std::move(parameter));
  };
  for_each_child(function, [&](Dwarf_Die& child) {
    if (dwarf_tag(&child) == DW_TAG_formal_parameter) read(child);
    return parameters.size() < kMaxLevels;
  });
  Dwarf_Die abstract;
  Dwarf_Attribute attribute;
  if (dwarf_attr(&function, DW_AT_abstract_origin, &attribute) == nullptr ||
      dwarf_formref_die(&attribute, &abstract) == nullptr)
    return parameters;
  // The abstract instance has all parameters, in order. What the code still knows of them stands in the concrete one.
  std::vector<Parameter> concrete = std::move(parameters);
  parameters.clear();
  for_each_child(abstract, [&](Dwarf_Die& child) {
    if (dwarf_tag(&child) != DW_TAG_formal_parameter) return true;
    auto known = std::ranges::find_if(concrete, [&](Parameter& candidate) {
      Dwarf_Die origin;
      return origin_of(candidate.entry, origin) && origin.addr == child.addr;
    });
    if (known != concrete.end()) {
      parameters.push_back(std::move(*known));
      concrete.erase(known);
    } else {
      read(child);
    }
    return parameters.size() < kMaxLevels;
  });
  std::ranges::move(concrete, std::back_inserter(parameters));
  return parameters;
}

bool same_function(Dwarf_Die& a, Dwarf_Die& b) {
  Dwarf_Die first = declaration_of(a);
  Dwarf_Die second = declaration_of(b);
  if (first.addr == second.addr) return true;
  const char* first_name = linkage_name_of(first);
  const char* second_name = linkage_name_of(second);
  if (first_name == nullptr && second_name == nullptr) {
    first_name = own_name(first);
    second_name = own_name(second);
  }
  return first_name != nullptr && second_name != nullptr && std::strcmp(first_name, second_name) == 0;
}

bool find_call_site(Dwarf_Die function, Dwarf_Addr return_address, Dwarf_Die& site, int depth) {
  if (depth > kMaxDepth) return false;
  bool found = false;
  for_each_child(function, [&](Dwarf_Die& child) {
    int tag = dwarf_tag(&child);
    if (tag == DW_TAG_call_site || tag == DW_TAG_GNU_call_site) {
      Dwarf_Attribute attribute;
      Dwarf_Addr address = 0;
      unsigned int kind = tag == DW_TAG_call_site ? DW_AT_call_return_pc : DW_AT_low_pc;
      if (dwarf_formaddr(dwarf_attr(&child, kind, &attribute), &address) == 0 && address == return_address) {
        site = child;
        found = true;
      }
    } else if (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) {
      found = find_call_site(child, return_address, site, depth + 1);
    }
    return !found;
  });
  return found;
}

std::unique_ptr<DebugInfo> DebugInfo::open(Image& image) {
  UniqueFd file(::open(image.path().c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return nullptr;
  elf_version(EV_CURRENT);
  Elf* elf = elf_begin(file.get(), ELF_C_READ_MMAP_PRIVATE, nullptr);
  Dwarf* dwarf = elf != nullptr ? dwarf_begin_elf(elf, DWARF_C_READ, nullptr) : nullptr;
  std::unique_ptr<DebugInfo> info(new DebugInfo(std::move(file), elf, dwarf));
  Dwarf_CU* unit = nullptr;
  if (dwarf == nullptr || dwarf_get_units(dwarf, nullptr, &unit, nullptr, nullptr, nullptr, nullptr) != 0) return nullptr;
  return info;
}

DebugInfo::~DebugInfo() {
  dwarf_end(dwarf_);
  elf_end(elf_);
}

void DebugInfo::index_functions(Dwarf_Die parent, int depth, std::vector<Function>& functions) {
  if (depth > kMaxDepth) return;
  for_each_child(parent, [&](Dwarf_Die& child) {
    int tag = dwarf_tag(&child);
    if (tag == DW_TAG_subprogram) {
      Dwarf_Addr base = 0;
      Dwarf_Addr low = 0;
      Dwarf_Addr high = 0;
      for (std::ptrdiff_t offset = 0; (offset = dwarf_ranges(&child, offset, &base, &low, &high)) > 0;)
        if (low < high) functions.push_back({low, high, child});
    }
    if (may_hold_functions(tag) && dwarf_haschildren(&child) > 0) index_functions(child, depth + 1, functions);
    return true;
  });
}

DebugInfo::Unit* DebugInfo::unit_of(Dwarf_Die& root) {
  Dwarf_Off key = dwarf_dieoffset(&root);
  auto [found, fresh] = units_.try_emplace(key);
  if (!fresh) return found->second.get();
  auto unit = std::make_unique<Unit>();
  unit->root = root;
  unit->content = root;
  std::uint8_t kind = 0;
  Dwarf_Die split{};
  if (dwarf_cu_info(root.cu, nullptr, &kind, nullptr, &split, nullptr, nullptr, nullptr) == 0 && kind == DW_UT_skeleton &&
      split.addr != nullptr)
    unit->content = split;
  index_functions(unit->content, 0, unit->functions);
  std::ranges::stable_sort(unit->functions, {}, &Function::low);
  found->second = std::move(unit);
  return found->second.get();
}

void DebugInfo::index_units() {
  indexed_ = true;
  Dwarf_CU* unit = nullptr;
  Dwarf_Die root;
  while (dwarf_get_units(dwarf_, unit, &unit, nullptr, nullptr, &root, nullptr) == 0) {
    Dwarf_Addr base = 0;
    Dwarf_Addr low = 0;
    Dwarf_Addr high = 0;
    for (std::ptrdiff_t offset = 0; (offset = dwarf_ranges(&root, offset, &base, &low, &high)) > 0;)
      if (low < high) ranges_.push_back({low, high, dwarf_dieoffset(&root)});
  }
  std::ranges::sort(ranges_, {}, &Range::low);
}

DebugInfo::Unit* DebugInfo::unit_at(Dwarf_Addr address) {
  Dwarf_Die root;
  if (dwarf_addrdie(dwarf_, address, &root) != nullptr) return unit_of(root);
  if (!indexed_) index_units();
  auto above = std::ranges::upper_bound(ranges_, address, {}, &Range::low);
  if (above == ranges_.begin() || address >= std::prev(above)->high) return nullptr;
  return dwarf_offdie(dwarf_, std::prev(above)->unit, &root) != nullptr ? unit_of(root) : nullptr;
}

bool DebugInfo::line(Dwarf_Addr address, std::string& file, std::uint32_t& number) {
  Unit* unit = unit_at(address);
  return unit != nullptr && line_of(unit->root, address, file, number);
}

const DebugInfo::Function* DebugInfo::function_at(const Unit& unit, Dwarf_Addr address) {
  auto above = std::ranges::upper_bound(unit.functions, address, {}, &Function::low);
  const Function* function = nullptr;
  // Functions do not overlap, but for nested ones: the nearest start that contains the address is the innermost. A few steps
  // back are enough.
  constexpr int kSteps = 8;
  for (int step = 0; step < kSteps && above != unit.functions.begin() && function == nullptr; ++step) {
    --above;
    if (address < above->high) function = &*above;
  }
  return function;
}

std::vector<Level> DebugInfo::levels(Dwarf_Addr address) {
  std::vector<Level> levels;
  Unit* unit = unit_at(address);
  if (unit == nullptr) return levels;
  const Function* function = function_at(*unit, address);
  if (function == nullptr) return levels;
  std::vector<Dwarf_Die> chain{function->die};
  collect_inlined(function->die, address, chain);
  for (auto die = chain.rbegin(); die != chain.rend(); ++die) {
    Level level;
    level.function = *die;
    level.inlined = dwarf_tag(&*die) == DW_TAG_inlined_subroutine;
    level.name = name_of(*die);
    if (const char* linkage = linkage_name_of(*die)) level.linkage_name = linkage;
    if (levels.empty()) line_of(unit->root, address, level.file, level.line);
    else fill_call_site(levels.back().function, level);
    levels.push_back(std::move(level));
  }
  return levels;
}

std::optional<std::vector<InlinedCall>> DebugInfo::inlined_into(Dwarf_Addr address, std::size_t limit) {
  const Unit* unit = unit_at(address);
  const Function* function = unit == nullptr ? nullptr : function_at(*unit, address);
  if (function == nullptr) return std::nullopt;
  std::vector<InlinedCall> calls;
  collect_calls(function->die, 0, limit, calls);
  return calls;
}

}  // namespace stacktide

// The walk over frames, on libunwind's remote interface.
//
// Two address spaces. libunwind's cache of register rules is keyed by pc alone, but the rules at a pc differ between
// "executes here" (frame 0, or interrupted by a signal) and "will return here": the call before may have been the last
// instruction of another function. So steps from exact pcs go through a space without cache, steps from callers through one
// with it; a goroutine costs one uncached step. The cached space only ever sees callers: its cursor starts at pc - 1, an
// address inside the call, which no return address can equal.
//
// libunwind guesses by rbp where there are no tables. A guess is told from a fact by our own find_proc_info, and dropped: a
// wrong frame is worse than an honest end.
//
// Rejected: frame ids or monotonic CFAs as a stop condition. A call onto another stack lowers or raises the CFA at will.
#include "unwind/unwinder.h"

#include <fmt/format.h>
#include <libunwind-x86_64.h>

#include <unordered_map>
#include <utility>

#include "unwind/memory_view.h"
#include "unwind/unwind_table.h"

// Exported by libunwind-x86_64 and used by its own coredump library, but declared in no installed header.
extern "C" int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t* tables,
                                                  unw_proc_info_t* info, int need_unwind_info, void* argument);

namespace stacktide {
namespace {

static_assert(UNW_X86_64_RAX == static_cast<int>(Register::rax) && UNW_X86_64_RDX == static_cast<int>(Register::rdx) &&
              UNW_X86_64_RSP == static_cast<int>(Register::rsp) && UNW_X86_64_R15 == static_cast<int>(Register::r15) &&
              UNW_X86_64_RIP == static_cast<int>(Register::rip));

constexpr std::uint32_t bit(Register reg) { return 1U << static_cast<unsigned>(reg); }

// What a callee must preserve (System V ABI). Without a rule libunwind takes every other register for unchanged, which it is
// not.
constexpr std::uint32_t kPreserved = bit(Register::rbx) | bit(Register::rbp) | bit(Register::rsp) | bit(Register::r12) |
                                     bit(Register::r13) | bit(Register::r14) | bit(Register::r15) | bit(Register::rip);

constexpr std::uint32_t kAllRegisters = (1U << kRegisterCount) - 1;

// One walk's view of the world, handed to libunwind as its opaque argument.
struct Context {
  MemoryView& memory;
  std::unordered_map<const Module*, UnwindTable>& tables;
  ImageCache& images;
  Registers start;             // what the cursor was started with
  std::string lookup_problem;  // why find_proc_info failed in this step; "" when it did not
};

Context& context_of(void* argument) { return *static_cast<Context*>(argument); }

int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t* info, int need_unwind_info, void* argument) {
  Context& context = context_of(argument);
  const Module* module = context.memory.module_at(ip);
  if (module == nullptr) {
    context.lookup_problem = fmt::format("0x{:x} is in no module", ip);
    return -UNW_ENOINFO;
  }
  auto known = context.tables.find(module);
  if (known == context.tables.end())
    known = context.tables.emplace(module, find_unwind_table(context.memory, context.images, *module)).first;
  const UnwindTable& table = known->second;
  if (!table.usable()) {
    context.lookup_problem = fmt::format("no unwind information for 0x{:x}: {}", ip, table.problem);
    return -UNW_ENOINFO;
  }
  unw_dyn_info_t tables{};
  tables.format = UNW_INFO_FORMAT_REMOTE_TABLE;
  tables.start_ip = module->start;
  tables.end_ip = module->end;
  tables.u.rti.segbase = table.header;
  tables.u.rti.table_data = table.entries;
  tables.u.rti.table_len = table.count;  // in words: an entry has eight bytes
  context.memory.clear_fault();
  int status = _Ux86_64_dwarf_search_unwind_table(space, ip, &tables, info, need_unwind_info, argument);
  // A table that points at a CIE instead of an FDE yields success without information, which libunwind then dereferences.
  if (status >= 0 && need_unwind_info != 0 && info->unwind_info == nullptr) status = -UNW_ENOINFO;
  if (status < 0) {
    std::optional<Address> fault = context.memory.last_fault();
    context.lookup_problem = fault ? fmt::format("no unwind information for 0x{:x}: cannot read 0x{:x}", ip, *fault)
                                   : fmt::format("no unwind information for 0x{:x} in {}", ip, module->path);
    return -UNW_ENOINFO;
  }
  return status;
}

void put_unwind_info(unw_addr_space_t, unw_proc_info_t*, void*) {}

int get_dyn_info_list_addr(unw_addr_space_t, unw_word_t*, void*) { return -UNW_ENOINFO; }

int access_mem(unw_addr_space_t, unw_word_t address, unw_word_t* value, int write, void* argument) {
  if (write != 0) return -UNW_EREADONLYREG;
  std::optional<std::uint64_t> word = context_of(argument).memory.word(address);
  if (!word) return -UNW_EUNSPEC;
  *value = *word;
  return 0;
}

int access_reg(unw_addr_space_t, unw_regnum_t number, unw_word_t* value, int write, void* argument) {
  if (write != 0) return -UNW_EREADONLYREG;
  if (number < 0 || number >= static_cast<int>(kRegisterCount)) return -UNW_EBADREG;
  std::optional<std::uint64_t> known = context_of(argument).start.get(static_cast<Register>(number));
  if (!known) return -UNW_EBADREG;
  *value = *known;
  return 0;
}

int access_fpreg(unw_addr_space_t, unw_regnum_t, unw_fpreg_t*, int, void*) { return -UNW_EBADREG; }

int resume(unw_addr_space_t, unw_cursor_t*, void*) { return -UNW_EINVAL; }

int get_proc_name(unw_addr_space_t, unw_word_t, char*, size_t, unw_word_t*, void*) { return -UNW_ENOINFO; }

struct SpaceDeleter {
  void operator()(unw_addr_space* space) const { unw_destroy_addr_space(space); }
};
using Space = std::unique_ptr<unw_addr_space, SpaceDeleter>;

Space make_space(unw_caching_policy_t policy) {
  unw_accessors_t accessors{};
  accessors.find_proc_info = find_proc_info;
  accessors.put_unwind_info = put_unwind_info;
  accessors.get_dyn_info_list_addr = get_dyn_info_list_addr;
  accessors.access_mem = access_mem;
  accessors.access_reg = access_reg;
  accessors.access_fpreg = access_fpreg;
  accessors.resume = resume;
  accessors.get_proc_name = get_proc_name;
  Space space(unw_create_addr_space(&accessors, 0));
  if (space != nullptr) unw_set_caching_policy(space.get(), policy);
  return space;
}

Registers registers_of(unw_cursor_t& cursor, std::uint32_t wanted) {
  Registers registers;
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    unw_word_t value = 0;
    if ((wanted >> i & 1U) != 0 && unw_get_reg(&cursor, static_cast<int>(i), &value) == 0)
      registers.set(static_cast<Register>(i), value);
  }
  return registers;
}

// What one step found.
struct Step {
  enum class Kind : std::uint8_t { caller, entry, failed };
  Kind kind = Kind::failed;
  Address cfa = 0;      // of the frame left; 0 unknown
  bool signal = false;  // the frame left was a signal trampoline: the caller was interrupted, it did not call
  Registers registers;  // of the caller
  std::string problem;  // why it failed
};

// A cursor that moves between the two spaces.
class Walk {
 public:
  Walk(Context& context, unw_addr_space_t exact_space, unw_addr_space_t caller_space)
      : context_(context), exact_space_(exact_space), caller_space_(caller_space) {}

  // Puts the cursor on a frame. False when its pc or stack pointer is unknown.
  bool begin(const Registers& registers, bool exact) {
    exact_ = exact;
    context_.start = registers;
    if (!exact) context_.start.set(Register::rip, registers.get(Register::rip).value_or(0) - 1);
    return unw_init_remote(&cursor_, exact ? exact_space_ : caller_space_, &context_) == 0;
  }

  Step step() {
    context_.lookup_problem.clear();
    context_.memory.clear_fault();
    Step step;
    int status = unw_step(&cursor_);
    if (!context_.lookup_problem.empty()) {
      step.problem = std::move(context_.lookup_problem);
      return step;
    }
    if (status < 0) {
      step.problem = problem_of(status);
      return step;
    }
    unw_word_t value = 0;
    if (unw_get_reg(&cursor_, UNW_X86_64_RSP, &value) == 0) step.cfa = value;
    step.signal = unw_is_signal_frame(&cursor_) > 0;
    // libunwind ends (status 0) where rip is undefined, and also where rbp is; only the former is an end. Its pc reads 0 in
    // both.
    unw_save_loc_t saved{};
    if (status == 0 && (unw_get_save_loc(&cursor_, UNW_X86_64_RIP, &saved) != 0 || saved.type == UNW_SLT_NONE)) {
      step.kind = Step::Kind::entry;
      return step;
    }
    step.kind = Step::Kind::caller;
    step.registers = registers_of(cursor_, step.signal ? kAllRegisters : kPreserved);
    if (status == 0 && saved.type == UNW_SLT_MEMORY) {
      auto caller = context_.memory.word(saved.u.addr);
      if (!caller) {
        step.problem = fmt::format("cannot read 0x{:x}", saved.u.addr);
        step.kind = Step::Kind::failed;
        return step;
      }
      step.registers.set(Register::rip, *caller);
    }
    if (exact_ || step.signal || status == 0) begin(step.registers, step.signal);
    return step;
  }

 private:
  std::string problem_of(int status) const {
    if (auto fault = context_.memory.last_fault()) return fmt::format("cannot read 0x{:x}", *fault);
    switch (-status) {
      case UNW_EBADREG:
        return "the unwind information needs a register that is not known here";
      case UNW_EBADFRAME:
        return "the frame is its own caller";
      default:
        return fmt::format("unwind information that makes no sense ({})", unw_strerror(status));
    }
  }

  Context& context_;
  unw_addr_space_t exact_space_;
  unw_addr_space_t caller_space_;
  unw_cursor_t cursor_{};
  bool exact_ = true;
};

// Remembers one earlier frame, farther and farther back (Brent): finds every cycle without keeping all frames in a set.
class CycleGuard {
 public:
  bool repeats(Address pc, Address cfa) {
    if (seen_ != 0 && pc == pc_ && cfa == cfa_) return true;
    if (++seen_ >= next_) {
      next_ *= 2;
      pc_ = pc;
      cfa_ = cfa;
    }
    return false;
  }

 private:
  std::size_t seen_ = 0;
  std::size_t next_ = 1;
  Address pc_ = 0;
  Address cfa_ = 0;
};

// A jump to an address where there is no code, such as a null function pointer: nothing ran there, so the return address is
// on top.
bool undo_wild_call(MemoryView& memory, Registers& registers) {
  Address pc = registers.get(Register::rip).value_or(0);
  if (memory.module_at(pc) != nullptr || memory.word(pc)) return false;
  Address sp = registers.get(Register::rsp).value_or(0);
  std::optional<std::uint64_t> caller = memory.word(sp);
  if (!caller || memory.module_at(*caller) == nullptr) return false;
  registers.set(Register::rip, *caller);
  registers.set(Register::rsp, sp + sizeof(std::uint64_t));
  registers.valid &= kPreserved;
  return true;
}

}  // namespace

struct Unwinder::State {
  State(Memory& target, const std::vector<Module>& modules, ImageCache& cache)
      : memory(target, modules, cache), images(cache) {}

  void prepare() {
    if (memory.refresh()) {
      tables.clear();
      exact_space = make_space(UNW_CACHE_NONE);
      caller_space = make_space(UNW_CACHE_GLOBAL);
    }
    memory.forget();
  }

  MemoryView memory;
  ImageCache& images;
  std::unordered_map<const Module*, UnwindTable> tables;
  Space exact_space;
  Space caller_space;
};

Unwinder::Unwinder(Memory& memory, const std::vector<Module>& modules, ImageCache& images)
    : state_(std::make_unique<State>(memory, modules, images)) {}

Unwinder::~Unwinder() = default;

Unwinding Unwinder::unwind(const Registers& start, std::size_t limit) {
  Unwinding result;
  state_->prepare();
  if (state_->exact_space == nullptr || state_->caller_space == nullptr) {
    result.stop_reason = "out of memory";
    return result;
  }
  Context context{state_->memory, state_->tables, state_->images, {}, {}};
  Walk walk(context, state_->exact_space.get(), state_->caller_space.get());
  if (!start.get(Register::rip) || !start.get(Register::rsp) || !walk.begin(start, true)) {
    result.stop_reason = "pc or stack pointer unknown";
    return result;
  }
  CycleGuard cycle;
  Registers registers = start;
  bool exact = true;
  while (true) {
    UnwoundFrame frame;
    frame.pc = registers.get(Register::rip).value_or(0);
    frame.sp = registers.get(Register::rsp).value_or(0);
    frame.exact_pc = exact;
    frame.registers = registers;
    if (result.frames.size() >= limit) {
      result.stop_reason = fmt::format("stopped after {} frames", limit);
      break;
    }
    Step step = walk.step();
    if (step.kind == Step::Kind::failed && exact) {
      Registers caller = registers;
      if (undo_wild_call(state_->memory, caller) && walk.begin(caller, false)) {
        step = Step{Step::Kind::caller, caller.get(Register::rsp).value_or(0), false, caller, {}};
      }
    }
    frame.cfa = step.cfa;
    if (step.signal) frame.exact_pc = true;  // a trampoline is entered by "returning" to its start
    bool repeated = cycle.repeats(frame.pc, frame.cfa != 0 ? frame.cfa : frame.sp);
    if (repeated) {
      result.stop_reason = fmt::format("pc 0x{:x} and its frame repeat", frame.pc);
      break;
    }
    result.frames.push_back(frame);
    if (step.kind == Step::Kind::entry) {
      result.complete = true;
      break;
    }
    if (step.kind == Step::Kind::failed) {
      result.stop_reason = fmt::format("{} (after frame {}, pc 0x{:x})", step.problem, result.frames.size() - 1, frame.pc);
      break;
    }
    registers = step.registers;
    exact = step.signal;
    // Interrupted at 0 is a call through a null pointer, which the next step undoes.
    if (!exact && registers.get(Register::rip).value_or(0) == 0) {
      result.stop_reason = fmt::format("the return address of frame {} is 0", result.frames.size() - 1);
      break;
    }
  }
  return result;
}

}  // namespace stacktide

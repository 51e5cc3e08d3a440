#include "command/host_words.h"

#include <array>

namespace stacktide {
namespace {

constexpr std::string_view kNextHelp =
    "Like the debugger's own next, but it knows the frame by its distance from the top of the goroutine's stack, so that "
    "growth,\n"
    "shrinking, linked segments, recursion and other goroutines in the same function do not mislead it. Functions that\n"
    "are called, inlined ones too, are stepped over. An exception that is caught in the frame or further out ends the step "
    "there;\n"
    "so does a breakpoint, a signal, or the program's end. In a parked goroutine it is the user's innermost frame that is "
    "stepped.\n"
    "$ next\n"
    "$ next 3";

constexpr std::string_view kFinishHelp =
    "The program runs until that frame, of the goroutine that is selected, has returned to its caller: also of a parked "
    "goroutine,\n"
    "and while stacks move. What else stops the program ends it.\n"
    "$ finish";

constexpr std::string_view kApplyHelp =
    "apply ID...|all [-q] [-s] CMD. ID is an id or a range, 3-7, of which the goroutines that exist are taken. CMD is a command of the debugger or of "
    "goroutine.\n"
    "-q leaves out the line that names the goroutine. -s leaves out goroutines for which CMD fails or prints nothing.\n"
    "$ apply 3 5-9 bt\n"
    "$ apply all -s bt";

constexpr CommandInfo apply(std::string_view help) {
  return {"apply", "ID...|all CMD", "run a command on several goroutines", help};
}
constexpr CommandInfo kNext{"next", "[N]", "run to the next line, N times, whatever the stack does meanwhile", kNextHelp};
constexpr CommandInfo kFinish{"finish", "", "run until the selected frame returns, whatever the stack does meanwhile",
                              kFinishHelp};
constexpr std::array kWords{apply(kApplyHelp), kNext, kFinish};

}  // namespace

std::span<const CommandInfo> host_words(HostKind host) {
  if (host == HostKind::gdb || host == HostKind::lldb) return kWords;
  return {};
}

}  // namespace stacktide

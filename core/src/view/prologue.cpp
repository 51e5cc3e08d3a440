#include "view/prologue.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/frames.h"
#include "base/bytes.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxInlined = 8;  // names in the text
// Instructions between two parts that are shown rather than counted.
constexpr std::size_t kShortGap = 2;

std::string class_text(const StackCheck& check, const CheckLimits& limits) {
  const bool go = check.form == CheckForm::go;
  const auto small = go ? kGoLimits.small : limits.small;
  const auto big = go ? kGoLimits.big : limits.big;
  switch (check.size_class) {
    case FrameClass::small:
      return fmt::format("small: a frame {} StackSmall ({}), rsp itself is compared", go ? "up to" : "under", small);
    case FrameClass::big:
      return go ? fmt::format("big: a frame over StackSmall ({}), rsp less the frame is compared", small)
                : fmt::format("big: a frame of StackSmall ({}) or more, rsp less the frame is compared", small);
    case FrameClass::huge:
      break;
  }
  return go ? fmt::format("huge: a frame over StackBig ({}), compared so that it cannot wrap around", big)
            : fmt::format("huge: a frame of StackBig ({}) or more, its own size decides the new stack's", big);
}

std::string frame_text(const PrologueModel& model) {
  const auto& check = *model.check;
  std::string text;
  if (check.frame) {
    text = plural(*check.frame, "byte");
  } else {
    text = fmt::format("{}, as its code says; the check does not", plural(model.use.frame(), "byte"));
  }
  if (check.arguments) text += fmt::format(", and {} of stack arguments", plural(*check.arguments, "byte"));
  if (model.use.below != 0 && !model.use.calls)
    text += fmt::format("; {} more lie below rsp, in a leaf's red zone", plural(model.use.below, "byte"));
  return text;
}

std::string guard_text(const PrologueModel& model) {
  const auto& check = *model.check;
  if (check.form == CheckForm::split_stack) {
    if (!model.runtime) return check.guard + ", the running thread's";
    return fmt::format("{}, the running thread's stackguard0: {} above the stack's end, or a request", check.guard,
                       plural(model.limits.guard, "byte"));
  }
  if (check.guard.starts_with("0x18(")) return check.guard + ", stackguard1 of g: code on the system stack";
  return check.guard + ", stackguard0 of g, the running goroutine";
}

std::string grows_text(const StackCheck& check) {
  if (check.always) return "asks at each call, since a linker saw that it calls code without checks; the runtime decides";
  const bool go = check.form == CheckForm::go;
  const auto* sign = go ? "<=" : "<";
  if (!check.compares_frame || !check.frame) return fmt::format("when rsp {} guard", sign);
  auto less = *check.frame + check.headroom;
  if (go) less -= std::min(less, kGoLimits.small);
  return fmt::format("when rsp - {} {} guard", grouped(less), sign);
}

// "fill at frames.cpp:34", "std::min x3": each function once, in the order of its first call.
std::string inlined_text(const std::optional<std::vector<InlinedFunction>>& inlined) {
  if (!inlined) return "not known: no debug information";
  std::vector<std::pair<const InlinedFunction*, std::size_t>> counted;
  for (const auto& one : *inlined) {
    const auto same = std::ranges::find_if(counted, [&](const auto& seen) { return seen.first->function == one.function; });
    if (same == counted.end()) counted.emplace_back(&one, 1);
    else ++same->second;
  }
  if (counted.empty()) return "nothing";
  std::string text;
  for (std::size_t i = 0; i < std::min(counted.size(), kMaxInlined); ++i) {
    const auto& [first, count] = counted[i];
    text += (text.empty() ? "" : ", ") + (first->function.empty() ? std::string("?") : short_name(first->function));
    if (!first->file.empty()) text += " at " + file_line(first->file, first->line);
    if (count > 1) text += fmt::format(" x{}", count);
  }
  if (counted.size() > kMaxInlined) text += fmt::format(", and {} more", counted.size() - kMaxInlined);
  return text;
}

// The parts to show, in order and without overlap: up to the end of what builds the frame, and the slow path.
std::vector<InstructionRange> parts_of(const PrologueModel& model) {
  std::vector<InstructionRange> parts;
  if (model.check) {
    parts = {{0, model.check->check.end}, model.check->slow_path};
    if (model.use.setup.size() != 0) parts.push_back(model.use.setup);
  } else if (model.use.setup.size() != 0) {
    parts = {{0, model.use.setup.end}};
  }
  std::ranges::sort(parts, {}, &InstructionRange::begin);
  std::vector<InstructionRange> merged;
  for (const auto& part : parts) {
    if (!merged.empty() && part.begin <= merged.back().end + kShortGap) {
      merged.back().end = std::max(merged.back().end, part.end);
    } else {
      merged.push_back(part);
    }
  }
  return merged;
}

const char* part_name(const PrologueModel& model, std::size_t index) {
  if (model.check && index < model.check->check.end) return "check";
  if (model.check && model.check->slow_path.contains(index)) return "slow_path";
  return "frame";
}

std::string lines_text(const PrologueModel& model, const Style& style) {
  Table table;
  for (int column = 0; column < 4; ++column) table.column("", Align::left);
  std::size_t shown = 0;
  for (const auto& part : parts_of(model)) {
    if (part.begin != shown) table.row({"  ...", "", plural(part.begin - shown, "instruction"), ""});
    for (std::size_t i = part.begin; i < part.end; ++i) {
      const auto& one = model.code[i];
      table.row({"  " + hex(one.address), fmt::format("<+{}>", one.address - model.function.start),
                 instruction_text(model, one), explanation(model, i)});
    }
    shown = part.end;
  }
  return shown == 0 ? "" : table.render(style);
}

}  // namespace

std::string prologue_text(const PrologueModel& model, const Style& style) {
  const auto& function = model.function;
  auto out = bold(short_name(function.name), style);
  if (!model.file.empty()) out += " at " + file_line(model.file, model.line);
  out += fmt::format(" in {}: {} of code\n", base_name(function.module), plural(model.bytes.size(), "byte"));
  const auto row = [&](std::string_view name, const std::string& text) { out += fmt::format("  {:<10}{}\n", name, text); };
  if (model.check) {
    row("class", class_text(*model.check, model.limits));
    row("frame", frame_text(model));
    row("guard", guard_text(model));
    row("grows", grows_text(*model.check));
  } else {
    row("no check", model.none);
    if (model.use.frame() != 0) row("frame", fmt::format("{}, as its code says", plural(model.use.frame(), "byte")));
  }
  row("inlined", inlined_text(model.inlined));
  return out + lines_text(model, style);
}

Json to_json(const PrologueModel& model) {
  Json check;
  if (model.check) {
    const auto& found = *model.check;
    const auto number = [](const std::optional<std::uint64_t>& value) { return value ? Json(*value) : Json(nullptr); };
    const auto name = found.callee ? model.names.find(*found.callee) : model.names.end();
    check = {{"form", check_form_name(found.form)},
             {"class", frame_class_name(found.size_class)},
             {"frame", number(found.frame)},
             {"arguments", number(found.arguments)},
             {"headroom", found.headroom},
             {"compares_frame", found.compares_frame},
             {"always", found.always},
             {"guard", found.guard},
             {"slow_path", name == model.names.end() ? "" : name->second}};
  }
  Json inlined;
  if (model.inlined) {
    inlined = Json::array();
    for (const auto& one : *model.inlined)
      inlined.push_back({{"function", one.function}, {"file", one.file}, {"line", one.line}});
  }
  auto instructions = Json::array();
  for (const auto& part : parts_of(model)) {
    for (std::size_t i = part.begin; i < part.end; ++i) {
      const auto& one = model.code[i];
      const auto offset = one.address - model.function.start;
      instructions.push_back({{"address", hex(one.address)},
                              {"offset", offset},
                              {"bytes", to_hex(slice(model.bytes, offset, one.size))},
                              {"part", part_name(model, i)},
                              {"text", instruction_text(model, one)},
                              {"explanation", explanation(model, i)}});
    }
  }
  return {{"function", model.function.name},
          {"symbol", model.function.symbol},
          {"address", hex(model.function.start)},
          {"size", model.bytes.size()},
          {"module", model.function.module},
          {"file", model.file},
          {"line", model.line},
          {"check", std::move(check)},
          {"no_check", model.none},
          {"frame_in_code", model.use.frame()},
          {"inlined", std::move(inlined)},
          {"instructions", std::move(instructions)}};
}

}  // namespace stacktide

#include "instruction.h"

#include <cstring>

namespace stacktide::link {
namespace {

constexpr std::size_t kLongest = 15;

// What follows an opcode.
struct Shape {
  bool valid = true;
  bool modrm = false;
  std::uint8_t immediate = 0;  // bytes
};

constexpr Shape kNone{};
constexpr Shape kInvalid{.valid = false};
constexpr Shape immediate(std::uint8_t bytes) { return {.immediate = bytes}; }
constexpr Shape modrm(std::uint8_t bytes = 0) { return {.modrm = true, .immediate = bytes}; }

bool between(unsigned value, unsigned low, unsigned high) { return value - low <= high - low; }

// One-byte opcodes. word: 2 or 4, the width of an immediate of the operand's size. F6 and F7 are looked at by the caller.
Shape shape_of_first_map(unsigned opcode, std::uint8_t word, bool wide, bool short_address) {
  if (opcode < 0x40) {
    switch (opcode & 7) {
      case 4:
        return immediate(1);
      case 5:
        return immediate(word);
      case 6:
      case 7:
        return kInvalid;
      default:
        return modrm();
    }
  }
  if (between(opcode, 0x70, 0x7f) || between(opcode, 0xb0, 0xb7) || between(opcode, 0xe0, 0xe7)) return immediate(1);
  if (between(opcode, 0x84, 0x8f) || between(opcode, 0xd0, 0xd3) || between(opcode, 0xd8, 0xdf)) return modrm();
  if (between(opcode, 0xb8, 0xbf)) return immediate(wide ? 8 : word);
  if (between(opcode, 0xa0, 0xa3)) return immediate(short_address ? 4 : 8);
  switch (opcode) {
    case 0x63:
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
      return modrm();
    case 0x69:
    case 0x81:
    case 0xc7:
      return modrm(word);
    case 0x6b:
    case 0x80:
    case 0x83:
    case 0xc0:
    case 0xc1:
    case 0xc6:
      return modrm(1);
    case 0x68:
    case 0xa9:
      return immediate(word);
    case 0x6a:
    case 0xa8:
    case 0xcd:
    case 0xeb:
      return immediate(1);
    case 0xc2:
    case 0xca:
      return immediate(2);
    case 0xc8:
      return immediate(3);
    case 0xe8:  // of near branches the operand size is fixed
    case 0xe9:
      return immediate(4);
    case 0x60:
    case 0x61:
    case 0x82:
    case 0x9a:
    case 0xce:
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xea:
      return kInvalid;
    default:
      return kNone;
  }
}

// Opcodes after 0f, without a vector prefix.
Shape shape_of_second_map(unsigned opcode) {
  if (between(opcode, 0x80, 0x8f)) return immediate(4);
  if (between(opcode, 0x05, 0x0b) || opcode == 0x0e || between(opcode, 0x30, 0x37) || opcode == 0x77 ||
      between(opcode, 0xc8, 0xcf))
    return kNone;
  if (between(opcode, 0xa0, 0xa2) || between(opcode, 0xa8, 0xaa)) return kNone;
  switch (opcode) {
    case 0x0f:  // 3DNow!: the operation comes last
    case 0x70:
    case 0x71:
    case 0x72:
    case 0x73:
    case 0xa4:
    case 0xac:
    case 0xba:
    case 0xc2:
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return modrm(1);
    default:
      return modrm();
  }
}

// Opcodes after a VEX, EVEX or XOP prefix.
Shape shape_of_vector_map(unsigned map, unsigned opcode) {
  if (map == 1 && opcode == 0x77) return kNone;  // vzeroupper
  if (map == 1) return between(opcode, 0x70, 0x73) || opcode == 0xc2 || between(opcode, 0xc4, 0xc6) ? modrm(1) : modrm();
  if (map == 3 || map == 8) return modrm(1);
  return map == 10 ? modrm(4) : modrm();
}

class Decoder {
 public:
  explicit Decoder(Bytes code) : code_(code.first(std::min(code.size(), kLongest))) {}

  std::optional<Instruction> run() {
    unsigned opcode = prefixes();
    unsigned map = 0;
    Shape shape;
    if (opcode == 0xc5 || opcode == 0xc4 || opcode == 0x62 || (opcode == 0x8f && (peek() & 0x1f) >= 8)) {
      if (opcode == 0xc5) {
        map = 1;
        next();
      } else {
        map = next() & (opcode == 0x62 ? 7 : 0x1f);
        next();
        if (opcode == 0x62) next();
      }
      opcode = next();
      shape = shape_of_vector_map(map, opcode);
      map = 4;  // nothing that is looked for below
    } else if (opcode == 0x0f) {
      opcode = next();
      map = 1;
      if (opcode == 0x38 || opcode == 0x3a) {
        shape = modrm(opcode == 0x3a ? 1 : 0);
        map = 2;
        next();
      } else {
        shape = shape_of_second_map(opcode);
      }
    } else {
      shape = shape_of_first_map(opcode, narrow_ && !wide_ ? 2 : 4, wide_, short_address_);
    }
    if (!shape.valid || failed_) return std::nullopt;
    if (shape.modrm) operands();
    if (map == 0 && (opcode == 0xf6 || opcode == 0xf7) && (reg() & 6) == 0)
      shape.immediate = opcode == 0xf6 ? 1 : narrow_ && !wide_ ? 2 : 4;
    immediate_at_ = at_;
    at_ += shape.immediate;
    if (failed_ || at_ > code_.size()) return std::nullopt;
    return describe(map, opcode, shape);
  }

 private:
  unsigned peek() const { return at_ < code_.size() ? std::to_integer<unsigned>(code_[at_]) : 0; }
  unsigned next() {
    failed_ = failed_ || at_ >= code_.size();
    const unsigned byte = peek();
    ++at_;
    return byte;
  }
  unsigned reg() const { return modrm_ >> 3 & 7; }

  // Passes all prefixes; returns the opcode's first byte.
  unsigned prefixes() {
    for (;;) {
      const unsigned byte = next();
      switch (byte) {
        case 0x66:
          narrow_ = true;
          break;
        case 0x67:
          short_address_ = true;
          break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0xf0:
        case 0xf2:
        case 0xf3:
          break;
        default:
          if (between(byte, 0x40, 0x4f)) {  // REX
            wide_ = (byte & 8) != 0;
            extended_reg_ = (byte & 4) != 0;
            extended_ = (byte & 1) != 0;
            break;
          }
          return byte;
      }
      if (failed_) return 0;
    }
  }

  void operands() {
    modrm_ = next();
    const unsigned mode = modrm_ >> 6;
    const unsigned base = modrm_ & 7;
    if (mode == 3) return;
    bool absolute = mode == 0 && base == 5;
    rip_relative_ = absolute;
    if (base == 4) absolute = (next() & 7) == 5 && mode == 0;
    displacement_at_ = at_;
    at_ += mode == 1 ? 1 : mode == 2 || absolute ? 4 : 0;
  }

  std::int64_t number(std::size_t at, std::size_t bytes) const {
    std::int8_t one = 0;
    std::int32_t four = 0;
    if (bytes == 1) std::memcpy(&one, code_.data() + at, 1);
    if (bytes == 4) std::memcpy(&four, code_.data() + at, 4);
    return bytes == 1 ? one : four;
  }

  Instruction describe(unsigned map, unsigned opcode, const Shape& shape) const {
    using Kind = Instruction::Kind;
    Instruction result;
    result.length = static_cast<std::uint32_t>(at_);
    const auto end = static_cast<std::int64_t>(at_);
    const bool conditional = map == 1 && between(opcode, 0x80, 0x8f);
    const bool short_jump = map == 0 && (between(opcode, 0x70, 0x7f) || between(opcode, 0xe0, 0xe3) || opcode == 0xeb);
    if (map == 0 && opcode == 0xe8) result.kind = Kind::call;
    if ((map == 0 && opcode == 0xe9) || conditional || short_jump) result.kind = Kind::jump;
    if (result.kind != Kind::other) result.target = end + number(immediate_at_, shape.immediate);
    if (map != 0) return result;
    if (opcode == 0xff && between(reg(), 2, 5)) {
      result.kind = reg() < 4 ? Kind::indirect_call : Kind::indirect_jump;
      result.rip_operand = rip_relative_;
      if (rip_relative_) result.target = end + number(displacement_at_, 4);
    }
    if (between(opcode, 0x50, 0x57) || opcode == 0x68 || opcode == 0x6a || (opcode == 0xff && reg() == 6))
      result.kind = Kind::push;
    const bool constant_to_stack_pointer =
        (opcode == 0x81 || opcode == 0x83) && wide_ && (modrm_ & 0xc7) == 0xc4 && !extended_;
    // A negative amount gives stack back.
    const std::int64_t amount = number(immediate_at_, shape.immediate);
    if (constant_to_stack_pointer && reg() == 5 && amount > 0) {
      result.kind = Kind::stack_room;
      result.amount = static_cast<std::uint32_t>(amount);
    }
    if (constant_to_stack_pointer && reg() == 4 && amount < 0) {
      result.kind = Kind::stack_alignment;
      result.amount = static_cast<std::uint32_t>(-amount);
    }
    const bool from_memory = opcode == 0x8b && wide_ && reg() == 4 && modrm_ >> 6 != 3 && !extended_reg_;
    if (from_memory || (opcode == 0x5c && !extended_)) result.kind = Kind::stack_load;
    return result;
  }

  Bytes code_;
  std::size_t at_ = 0;
  std::size_t displacement_at_ = 0;
  std::size_t immediate_at_ = 0;
  unsigned modrm_ = 0;
  bool rip_relative_ = false;
  bool narrow_ = false;        // operands of 16 bits
  bool wide_ = false;          // of 64
  bool extended_ = false;      // r12 where rsp would be meant, as operand
  bool extended_reg_ = false;  // and as register
  bool short_address_ = false;
  bool failed_ = false;
};

}  // namespace

std::optional<Instruction> decode(Bytes code) { return Decoder(code).run(); }

}  // namespace stacktide::link

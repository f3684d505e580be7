#include "vm/accel/unicorn/system_instructions.h"

#include <array>
#include <cstring>

#include "vm/accel/unicorn/page_walk.h"

namespace godwit::vm {
namespace {

constexpr std::uint32_t efer_msr = 0xc0000080;
constexpr std::uint64_t efer_sce = 1 << 0;
constexpr std::uint64_t efer_writable = efer_sce | efer_bit::long_mode_enable | 1 << 11;
constexpr std::uint64_t cr4_pae = 1 << 5;
constexpr std::uint64_t rflags_of_sysret = 0x3c7fd7;

/// The opcode and what stands in front of it.
class Instruction {
 public:
  Instruction(const CpuState& state, const MemoryMap& memory) : state_(state), memory_(memory) {
    at_ = state.rip;
    bool more = true;
    while (more && next()) {
      more = false;
      if (byte_ == 0x66) operand_prefix = more = true;
      if (is_64_bit_code(state) && (byte_ & 0xf0) == 0x40) {
        rex = byte_;
        more = true;
      }
    }
  }

  /// The byte under the cursor.
  std::uint8_t byte() const { return byte_; }
  bool next() {
    std::array<std::byte, 1> one{};
    valid_ = valid_ && read_linear(state_, memory_, code_base() + at_, one);
    ++at_;
    byte_ = static_cast<std::uint8_t>(one[0]);
    return valid_;
  }
  std::optional<std::uint64_t> number(unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      if (!next()) return std::nullopt;
      value |= std::uint64_t{byte_} << (8 * i);
    }
    return value;
  }
  std::uint64_t end() const { return at_; }
  bool valid() const { return valid_; }

  bool operand_prefix = false;
  std::uint8_t rex = 0;

 private:
  std::uint64_t code_base() const { return is_64_bit_code(state_) ? 0 : state_.segments[cs].base; }

  const CpuState& state_;
  const MemoryMap& memory_;
  std::uint64_t at_;
  std::uint8_t byte_ = 0;
  bool valid_ = true;
};

bool is_privileged(const CpuState& state) {
  return !(state.cr0 & cr0_bit::protection) || state.segments[ss].dpl() == 0;
}

std::uint32_t low(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}

bool write_efer(CpuState& state, std::uint64_t end) {
  if (low(state.registers[rcx]) != efer_msr || !is_privileged(state)) return false;
  const std::uint64_t value = std::uint64_t{low(state.registers[rdx])} << 32 | low(state.registers[rax]);
  state.efer = (state.efer & ~efer_writable) | (value & efer_writable);
  state.rip = end;
  return true;
}

bool read_efer(CpuState& state, std::uint64_t end) {
  if (low(state.registers[rcx]) != efer_msr || !is_privileged(state)) return false;
  state.registers[rax] = low(state.efer);
  state.registers[rdx] = state.efer >> 32;
  state.rip = end;
  return true;
}

bool activate_long_mode(CpuState& state, Instruction& instruction) {
  if (!instruction.next() || !is_privileged(state)) return false;
  const std::uint8_t operands = instruction.byte();
  if ((operands & 0xf8) != 0xc0) return false;  // to CR0
  const std::uint64_t value = low(state.registers[operands & 7]);
  const bool activates = (value & cr0_bit::paging) && !(state.cr0 & cr0_bit::paging) &&
                         (state.efer & efer_bit::long_mode_enable) && (state.cr4 & cr4_pae);
  if (!activates) return false;
  state.cr0 = value | cr0_bit::extension_type;
  state.efer |= efer_bit::long_mode_active;
  state.rip = instruction.end();
  return true;
}

bool jump_short(CpuState& state, Instruction& instruction) {
  if (!is_compatibility_code(state)) return false;
  const auto distance = instruction.number(1);
  if (!distance) return false;
  state.rip = low(instruction.end() + static_cast<std::uint64_t>(static_cast<std::int8_t>(*distance)));
  return true;
}

bool jump_far(CpuState& state, const MemoryMap& memory, Instruction& instruction) {
  if (!is_compatibility_code(state)) return false;
  const bool wide = ((state.segments[cs].flags & segment_flag::wide) != 0) != instruction.operand_prefix;
  const auto offset = instruction.number(wide ? 4 : 2);
  const auto selector = offset ? instruction.number(2) : std::nullopt;
  if (!selector || (*selector & 4) || (*selector | 7) > state.gdt.limit) return false;

  std::array<std::byte, 8> raw{};
  if (!read_linear(state, memory, state.gdt.base + (*selector & ~std::uint64_t{7}), raw)) return false;
  std::uint64_t descriptor;
  std::memcpy(&descriptor, raw.data(), sizeof descriptor);
  const Segment segment = segment_of_descriptor(static_cast<std::uint16_t>(*selector), descriptor);
  constexpr std::uint32_t executable = 8u << segment_flag::type_shift;
  constexpr std::uint32_t needed = segment_flag::present | segment_flag::code_or_data | executable;
  if ((segment.flags & needed) != needed) return false;
  state.segments[cs] = segment;
  state.rip = *offset;
  return true;
}

bool return_to_ring_3(CpuState& state, const Instruction& instruction) {
  if (!is_64_bit_code(state) || !(state.efer & efer_sce) || !is_privileged(state)) return false;
  if (!(instruction.rex & 8)) return false;  // to 32-bit code
  using namespace segment_flag;
  const auto base = static_cast<std::uint32_t>(state.star >> 48);
  constexpr std::uint32_t common = present | code_or_data | 3u << dpl_shift | granular;
  state.segments[cs] = {((base + 16) & 0xffff) | 3, 0, 0xffffffff, common | 0xbu << type_shift | long_code};
  state.segments[ss] = {((base + 8) & 0xffff) | 3, 0, 0xffffffff, common | 3u << type_shift | wide};
  state.rip = state.registers[rcx];
  state.rflags = (state.registers[11] & rflags_of_sysret) | 2;
  return true;
}

}  // namespace

bool is_64_bit_code(const CpuState& state) {
  return (state.efer & efer_bit::long_mode_active) && (state.segments[cs].flags & segment_flag::long_code);
}

bool is_compatibility_code(const CpuState& state) {
  return (state.efer & efer_bit::long_mode_active) && !(state.segments[cs].flags & segment_flag::long_code);
}

bool interpret_system_instruction(CpuState& state, const MemoryMap& memory) {
  Instruction instruction(state, memory);
  if (!instruction.valid()) return false;
  if (instruction.byte() == 0xea) return jump_far(state, memory, instruction);
  if (instruction.byte() == 0xeb) return jump_short(state, instruction);
  if (instruction.byte() != 0x0f || !instruction.next()) return false;
  switch (instruction.byte()) {
    case 0x07:
      return return_to_ring_3(state, instruction);
    case 0x22:
      return activate_long_mode(state, instruction);
    case 0x30:
      return write_efer(state, instruction.end());
    case 0x32:
      return read_efer(state, instruction.end());
    default:
      return false;
  }
}

std::optional<std::size_t> find_system_instruction(std::span<const std::byte> code, std::size_t from) {
  for (std::size_t i = from; i + 1 < code.size(); ++i) {
    const auto second = static_cast<std::uint8_t>(code[i + 1]);
    if (code[i] == std::byte{0x0f} && (second == 0x22 || second == 0x30 || second == 0x32)) return i;
  }
  return std::nullopt;
}

Segment segment_of_descriptor(std::uint16_t selector, std::uint64_t descriptor) {
  const auto high = static_cast<std::uint32_t>(descriptor >> 32);
  Segment segment;
  segment.selector = selector;
  segment.base = (descriptor >> 16 & 0xffffff) | (descriptor >> 56 << 24);
  segment.limit = low(descriptor & 0xffff) | (high & 0xf0000);
  segment.flags = high & 0x00f0ff00;
  if (segment.flags & segment_flag::granular) segment.limit = segment.limit << 12 | 0xfff;
  return segment;
}

std::uint64_t descriptor_of_segment(const Segment& segment) {
  const bool granular = (segment.flags & segment_flag::granular) != 0;
  const std::uint64_t limit = granular ? segment.limit >> 12 : segment.limit;
  const std::uint64_t high = (segment.flags & 0x00f0ff00u) | (limit & 0xf0000) | (segment.base >> 16 & 0xff) |
                             (segment.base & 0xff000000);
  return high << 32 | (segment.base & 0xffff) << 16 | (limit & 0xffff);
}

}  // namespace godwit::vm

#include "vm/accel/unicorn/interrupt_delivery.h"

#include <array>
#include <cstring>
#include <span>

#include "vm/accel/unicorn/page_walk.h"
#include "vm/accel/unicorn/system_instructions.h"

namespace godwit::vm {
namespace {

namespace rflag {
constexpr std::uint64_t trap = 1u << 8;
constexpr std::uint64_t interrupts = 1u << 9;
constexpr std::uint64_t nested = 1u << 14;
constexpr std::uint64_t resume = 1u << 16;
constexpr std::uint64_t virtual_8086 = 1u << 17;
constexpr std::uint64_t alignment = 1u << 18;
}  // namespace rflag

constexpr std::uint32_t code_type = 8u << segment_flag::type_shift;
constexpr std::uint32_t conforming_type = 4u << segment_flag::type_shift;
constexpr std::uint32_t busy_16_bit_tss = 3u << segment_flag::type_shift;

/// An entry of the IDT.
struct Gate {
  std::uint16_t selector = 0;
  std::uint64_t offset = 0;
  unsigned stack = 0;    ///< of the IST; 0: none
  bool is_trap = false;  ///< leaves interrupts on
  bool is_wide = false;  ///< pushes 32 bits (64 in long mode)
  unsigned privilege = 0;
};

template <typename T>
std::optional<T> read(const CpuState& state, const MemoryMap& memory, std::uint64_t linear) {
  std::array<std::byte, sizeof(T)> raw{};
  if (!read_linear(state, memory, linear, raw)) return std::nullopt;
  T value;
  std::memcpy(&value, raw.data(), sizeof value);
  return value;
}

bool is_long(const CpuState& state) {
  return (state.efer & efer_bit::long_mode_active) != 0;
}

std::optional<Gate> read_gate(const CpuState& state, const MemoryMap& memory, std::uint8_t vector) {
  const unsigned size = is_long(state) ? 16 : 8;
  const std::uint32_t at = vector * size;
  if (at + size - 1 > state.idt.limit) return std::nullopt;
  const auto low = read<std::uint64_t>(state, memory, state.idt.base + at);
  if (!low || !(*low >> 47 & 1)) return std::nullopt;
  Gate gate;
  gate.selector = static_cast<std::uint16_t>(*low >> 16);
  gate.offset = (*low & 0xffff) | (*low >> 32 & 0xffff0000);
  gate.privilege = *low >> 45 & 3;
  const unsigned type = *low >> 40 & 0x1f;
  gate.is_trap = (type & 1) != 0;
  gate.is_wide = (type & 8) != 0;
  if ((type & 0x16) != 0x06 || (is_long(state) && !gate.is_wide)) return std::nullopt;
  if (!is_long(state)) {
    if (!gate.is_wide) gate.offset &= 0xffff;
    return gate;
  }
  const auto high = read<std::uint32_t>(state, memory, state.idt.base + at + 8);
  if (!high) return std::nullopt;
  gate.offset |= std::uint64_t{*high} << 32;
  gate.stack = *low >> 32 & 7;
  return gate;
}

std::optional<Segment> read_segment(const CpuState& state, const MemoryMap& memory, std::uint16_t selector) {
  if (selector < 4) return std::nullopt;
  const Segment& table = selector & 4 ? state.ldt : state.gdt;
  if ((selector | 7u) > table.limit) return std::nullopt;
  const auto descriptor = read<std::uint64_t>(state, memory, table.base + (selector & 0xfff8));
  if (!descriptor) return std::nullopt;
  const Segment segment = segment_of_descriptor(selector, *descriptor);
  return segment.flags & segment_flag::present ? std::optional(segment) : std::nullopt;
}

/// Writes downwards from a stack pointer.
class Stack {
 public:
  Stack(const CpuState& state, const MemoryMap& memory, std::uint64_t base, std::uint64_t pointer,
        std::uint64_t mask)
      : state_(state), memory_(memory), base_(base), mask_(mask), pointer_(pointer) {}

  void push(std::uint64_t value, unsigned size) {
    pointer_ = (pointer_ & ~mask_) | ((pointer_ - size) & mask_);
    const auto bytes = std::as_bytes(std::span(&value, 1)).first(size);
    valid_ = valid_ && write_linear(state_, memory_, base_ + (pointer_ & mask_), bytes);
  }
  std::uint64_t pointer() const { return pointer_; }
  bool valid() const { return valid_; }

 private:
  const CpuState& state_;
  const MemoryMap& memory_;
  const std::uint64_t base_, mask_;
  std::uint64_t pointer_;
  bool valid_ = true;
};

bool enter_real_mode(CpuState& state, const MemoryMap& memory, std::uint8_t vector) {
  if (vector * 4u + 3 > state.idt.limit) return false;
  const auto handler = read<std::uint32_t>(state, memory, state.idt.base + vector * 4u);
  if (!handler) return false;
  Stack stack(state, memory, state.segments[ss].base, state.registers[rsp], 0xffff);
  stack.push(state.rflags, 2);
  stack.push(state.segments[cs].selector, 2);
  stack.push(state.rip, 2);
  if (!stack.valid()) return false;
  state.registers[rsp] = stack.pointer();
  state.segments[cs].selector = *handler >> 16;
  state.segments[cs].base = std::uint64_t{*handler >> 16} << 4;
  state.rip = *handler & 0xffff;
  state.rflags &= ~(rflag::interrupts | rflag::trap | rflag::alignment);
  return true;
}

struct NewStack {
  Segment segment;
  std::uint64_t pointer = 0;
};

std::optional<NewStack> stack_of_ring(const CpuState& state, const MemoryMap& memory, unsigned ring) {
  const bool is_16_bit = (state.tr.flags & segment_flag::type_mask) <= busy_16_bit_tss;
  const std::uint64_t at = state.tr.base + (is_16_bit ? 2 + ring * 4 : 4 + ring * 8);
  std::optional<std::uint32_t> pointer;
  std::optional<std::uint16_t> selector;
  if (is_16_bit) {
    if (const auto narrow = read<std::uint16_t>(state, memory, at)) pointer = *narrow;
    selector = read<std::uint16_t>(state, memory, at + 2);
  } else {
    pointer = read<std::uint32_t>(state, memory, at);
    selector = read<std::uint16_t>(state, memory, at + 4);
  }
  if (!pointer || !selector) return std::nullopt;
  const auto segment = read_segment(state, memory, *selector);
  if (!segment || segment->dpl() != ring) return std::nullopt;
  return NewStack{*segment, *pointer};
}

void leave_flags(CpuState& state, const Gate& gate) {
  state.rflags &= ~(rflag::trap | rflag::nested | rflag::resume | rflag::virtual_8086);
  if (!gate.is_trap) state.rflags &= ~rflag::interrupts;
}

void enter_code(CpuState& state, const Gate& gate, const Segment& code, unsigned ring) {
  state.segments[cs] = code;
  state.segments[cs].selector = (gate.selector & 0xfffcu) | ring;
  state.rip = gate.offset;
  leave_flags(state, gate);
}

bool enter_protected_mode(CpuState& state, const MemoryMap& memory, const Gate& gate, const Segment& code,
                          unsigned ring, std::optional<std::uint32_t> error_code) {
  const unsigned old_ring = state.segments[ss].dpl();
  NewStack target{state.segments[ss], state.registers[rsp]};
  if (ring != old_ring) {
    const auto inner = stack_of_ring(state, memory, ring);
    if (!inner) return false;
    target = *inner;
  }
  const std::uint64_t mask = target.segment.flags & segment_flag::wide ? 0xffffffff : 0xffff;
  const unsigned size = gate.is_wide ? 4 : 2;
  Stack stack(state, memory, target.segment.base, target.pointer, mask);
  if (ring != old_ring) {
    stack.push(state.segments[ss].selector, size);
    stack.push(state.registers[rsp], size);
  }
  stack.push(state.rflags, size);
  stack.push(state.segments[cs].selector, size);
  stack.push(state.rip, size);
  if (error_code) stack.push(*error_code, size);
  if (!stack.valid()) return false;
  state.segments[ss] = target.segment;
  state.registers[rsp] = stack.pointer();
  enter_code(state, gate, code, ring);
  return true;
}

bool enter_long_mode(CpuState& state, const MemoryMap& memory, const Gate& gate, const Segment& code,
                     unsigned ring, std::optional<std::uint32_t> error_code) {
  const unsigned old_ring = state.segments[ss].dpl();
  std::uint64_t pointer = state.registers[rsp];
  if (gate.stack != 0 || ring != old_ring) {
    const unsigned at = gate.stack != 0 ? 0x24 + (gate.stack - 1) * 8 : 4 + ring * 8;
    const auto found = read<std::uint64_t>(state, memory, state.tr.base + at);
    if (!found) return false;
    pointer = *found;
  }
  Stack stack(state, memory, 0, pointer & ~std::uint64_t{0xf}, ~std::uint64_t{0});
  stack.push(state.segments[ss].selector, 8);
  stack.push(state.registers[rsp], 8);
  stack.push(state.rflags, 8);
  stack.push(state.segments[cs].selector, 8);
  stack.push(state.rip, 8);
  if (error_code) stack.push(*error_code, 8);
  if (!stack.valid()) return false;
  // The null selector with the ring as its privilege is what the processor loads.
  if (ring != old_ring)
    state.segments[ss] = {ring, 0, 0, segment_flag::present | ring << segment_flag::dpl_shift};
  state.registers[rsp] = stack.pointer();
  enter_code(state, gate, code, ring);
  return true;
}

}  // namespace

bool has_error_code(std::uint8_t vector) {
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

bool enter_interrupt(CpuState& state, const MemoryMap& memory, const Interruption& what) {
  if (!(state.cr0 & cr0_bit::protection)) return enter_real_mode(state, memory, what.vector);
  if (state.rflags & rflag::virtual_8086) return false;
  const auto gate = read_gate(state, memory, what.vector);
  if (!gate) return false;
  const unsigned old_ring = state.segments[ss].dpl();
  if (what.software && gate->privilege < old_ring) return false;
  const auto code = read_segment(state, memory, gate->selector);
  if (!code || !(code->flags & segment_flag::code_or_data) || !(code->flags & code_type)) return false;
  if (code->dpl() > old_ring) return false;
  const unsigned ring = code->flags & conforming_type ? old_ring : code->dpl();
  if (!is_long(state)) return enter_protected_mode(state, memory, *gate, *code, ring, what.error_code);
  if (!(code->flags & segment_flag::long_code)) return false;
  return enter_long_mode(state, memory, *gate, *code, ring, what.error_code);
}

}  // namespace godwit::vm

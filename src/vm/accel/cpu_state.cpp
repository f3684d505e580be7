#include "vm/accel/cpu_state.h"

namespace godwit::vm {
namespace {

namespace hflag {
constexpr std::uint32_t interrupt_shadow = 1u << 3;
constexpr std::uint32_t code_32 = 1u << 4;
constexpr std::uint32_t stack_32 = 1u << 5;
constexpr std::uint32_t bases_needed = 1u << 6;
constexpr std::uint32_t protected_mode = 1u << 7;
constexpr std::uint32_t long_mode = 1u << 14;
constexpr std::uint32_t code_64 = 1u << 15;
constexpr std::uint32_t smm = 1u << 19;
constexpr std::uint32_t svm = 1u << 20;
constexpr std::uint32_t osfxsr = 1u << 22;
constexpr std::uint32_t smap = 1u << 23;
constexpr std::uint32_t umip = 1u << 27;
constexpr std::uint32_t avx = 1u << 28;
}  // namespace hflag

namespace hflag2 {
constexpr std::uint32_t global_interrupts = 1u << 0;
constexpr std::uint32_t nmi_masked = 1u << 2;
constexpr std::uint32_t virtual_gif = 1u << 8;
}  // namespace hflag2

constexpr std::uint64_t rflags_tf = 1u << 8;
constexpr std::uint64_t rflags_iopl = 3u << 12;
constexpr std::uint64_t rflags_vm = 1u << 17;
constexpr std::uint64_t rflags_ac = 1u << 18;
constexpr std::uint64_t cr4_osfxsr = 1u << 9;
constexpr std::uint64_t cr4_umip = 1u << 11;
constexpr std::uint64_t cr4_osxsave = 1u << 18;
constexpr std::uint64_t cr4_smap = 1u << 21;

constexpr std::uint32_t present_data =
    segment_flag::present | segment_flag::code_or_data | 3u << segment_flag::type_shift;
constexpr std::uint32_t present_code =
    segment_flag::present | segment_flag::code_or_data | 0xbu << segment_flag::type_shift;

std::uint32_t if_set(std::uint64_t value, std::uint64_t bits, std::uint32_t flag) {
  return (value & bits) == bits ? flag : 0;
}

std::uint32_t width_flags(const CpuState& state) {
  using namespace hflag;
  const bool long_mode_active = (state.efer & efer_bit::long_mode_active) != 0;
  const std::uint32_t code = state.segments[cs].flags;
  if (long_mode_active && (code & segment_flag::long_code)) return code_32 | stack_32 | code_64;

  std::uint32_t flags = 0;
  if (code & segment_flag::wide) flags |= code_32;
  if (state.segments[ss].flags & segment_flag::wide) flags |= stack_32;
  const bool small = !(state.cr0 & cr0_bit::protection) || (state.rflags & rflags_vm) || !(flags & code_32);
  if (small || state.segments[ds].base || state.segments[es].base || state.segments[ss].base)
    flags |= bases_needed;
  return flags;
}

}  // namespace

CpuState reset_cpu(unsigned index) {
  CpuState state;
  state.registers[rdx] = 0x600;  // family 6: what reset leaves there
  state.rip = 0xfff0;
  state.cr0 = 0x60000010;
  for (Segment& segment : state.segments) segment = {0, 0, 0xffff, present_data};
  state.segments[cs] = {0xf000, 0xffff0000, 0xffff, present_code};
  state.ldt = {0, 0, 0xffff, segment_flag::present | 2u << segment_flag::type_shift};
  state.tr = {0, 0, 0xffff, segment_flag::present | 0xbu << segment_flag::type_shift};
  state.gdt = {0, 0, 0xffff, 0};
  state.idt = {0, 0, 0xffff, 0};
  for (std::size_t bank = 0; bank < state.mce_banks.size(); bank += 4)
    state.mce_banks[bank] = ~std::uint64_t{0};
  if (index != 0) {
    state.mp_state = mp_state::uninitialized;
    state.halted = 1;
  }
  return state;
}

std::uint32_t derive_hflags(const CpuState& state) {
  using namespace hflag;
  std::uint32_t flags = state.segments[ss].dpl() | width_flags(state);
  if (state.interrupt_shadow) flags |= interrupt_shadow;
  flags |= if_set(state.cr0, cr0_bit::protection, protected_mode);
  flags |= static_cast<std::uint32_t>(state.rflags & (rflags_tf | rflags_iopl | rflags_vm | rflags_ac));
  flags |= static_cast<std::uint32_t>(state.cr0 & 0xe) << 8;  // MP, EM, TS
  flags |= if_set(state.efer, efer_bit::long_mode_active, long_mode);
  flags |= if_set(state.efer, efer_bit::svm, svm);
  flags |= if_set(state.cr4, cr4_osfxsr, osfxsr);
  flags |= if_set(state.cr4, cr4_smap, smap);
  flags |= if_set(state.cr4, cr4_umip, umip);
  if ((state.cr4 & cr4_osxsave) && (state.xcr0 & 6) == 6) flags |= avx;
  if (state.smm) flags |= smm;
  return flags;
}

std::uint32_t derive_hflags2(const CpuState& state) {
  return hflag2::global_interrupts | hflag2::virtual_gif | (state.nmi_masked ? hflag2::nmi_masked : 0);
}

void take_hflags(CpuState& state) {
  state.interrupt_shadow = (state.hflags & hflag::interrupt_shadow) != 0;
  state.smm = (state.hflags & hflag::smm) != 0;
  state.nmi_masked = (state.hflags2 & hflag2::nmi_masked) != 0;
}

}  // namespace godwit::vm

// The state of one x86 vCPU, the same for every accelerator and laid out as the `cpu` and `cpu_common`
// sections have it (x86-machine-state sections 3 and 4.2). Plain data.
#pragma once

#include <array>
#include <cstdint>

namespace godwit::vm {

/// Index into CpuState::registers: the encoding order of the instruction set. 8 to 15 are r8 to r15.
enum Register : std::uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi };
inline constexpr unsigned register_count = 16;

/// Index into CpuState::segments.
enum SegmentIndex : std::uint8_t { es, cs, ss, ds, fs, gs };

/// Bits of Segment::flags: those of the descriptor's second dword.
namespace segment_flag {
inline constexpr unsigned type_shift = 8;
inline constexpr std::uint32_t type_mask = 0xf << type_shift;
inline constexpr std::uint32_t code_or_data = 1u << 12;
inline constexpr unsigned dpl_shift = 13;
inline constexpr std::uint32_t dpl_mask = 3u << dpl_shift;
inline constexpr std::uint32_t present = 1u << 15;
inline constexpr std::uint32_t available = 1u << 20;
inline constexpr std::uint32_t long_code = 1u << 21;
inline constexpr std::uint32_t wide = 1u << 22;  ///< D/B
inline constexpr std::uint32_t granular = 1u << 23;
}  // namespace segment_flag

namespace cr0_bit {
inline constexpr std::uint64_t protection = 1u << 0;
inline constexpr std::uint64_t extension_type = 1u << 4;
inline constexpr std::uint64_t paging = 1u << 31;
}  // namespace cr0_bit

namespace efer_bit {
inline constexpr std::uint64_t long_mode_enable = 1u << 8;
inline constexpr std::uint64_t long_mode_active = 1u << 10;
inline constexpr std::uint64_t svm = 1u << 12;
}  // namespace efer_bit

/// KVM's numbers, which are also those of the stream.
namespace mp_state {
inline constexpr std::uint32_t runnable = 0;
inline constexpr std::uint32_t uninitialized = 1;  ///< waits for INIT and SIPI
inline constexpr std::uint32_t init_received = 2;  ///< waits for SIPI
inline constexpr std::uint32_t halted = 3;
inline constexpr std::uint32_t sipi_received = 4;
}  // namespace mp_state

struct Segment {
  std::uint32_t selector = 0;
  std::uint64_t base = 0;
  std::uint32_t limit = 0;  ///< last valid byte, already expanded
  std::uint32_t flags = 0;
  bool operator==(const Segment&) const = default;

  unsigned dpl() const { return (flags & segment_flag::dpl_mask) >> segment_flag::dpl_shift; }
};

struct FpuRegister {
  std::uint64_t mantissa = 0;
  std::uint16_t exponent = 0;  ///< with the sign in bit 15
  bool operator==(const FpuRegister&) const = default;
};

/// One 128-bit half of a vector register: low quadword, then high.
struct VectorHalf {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const VectorHalf&) const = default;
};

struct VariableMtrr {
  std::uint64_t base = 0;
  std::uint64_t mask = 0;
  bool operator==(const VariableMtrr&) const = default;
};

/// As the processor is after power-on, but for the values that depend on its number: see reset_cpu().
struct CpuState {
  // cpu_common
  std::uint32_t halted = 0;
  std::uint32_t interrupt_request = 0;

  // cpu, in the order of the stream
  std::array<std::uint64_t, register_count> registers{};
  std::uint64_t rip = 0;
  std::uint64_t rflags = 2;
  std::uint32_t hflags =
      0;  ///< made from the rest by derive_hflags() when a state is read; ignored when it is set
  std::uint16_t fpu_control = 0x37f;
  std::uint16_t fpu_status = 0;      ///< TOP in bits 11 to 13
  std::uint16_t fpu_tags = 0;        ///< bit i: register i in use
  std::uint16_t fpu_format = 0;      ///< always 0
  std::array<FpuRegister, 8> fpu{};  ///< in stack order: st(0) first, as FXSAVE and KVM have them
  std::array<Segment, 6> segments{};
  Segment ldt, tr, gdt, idt;
  std::uint32_t sysenter_cs = 0;
  std::uint64_t sysenter_esp = 0;
  std::uint64_t sysenter_eip = 0;
  std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
  std::array<std::uint64_t, 8> debug{0, 0, 0, 0, 0, 0, 0xffff0ff0, 0x400};  ///< dr4 and dr5 are 0
  std::int32_t a20_mask = -1;
  std::uint32_t mxcsr = 0x1f80;
  std::array<VectorHalf, 16> xmm{};
  std::uint64_t efer = 0;
  std::uint64_t star = 0, lstar = 0, cstar = 0, fmask = 0, kernel_gs_base = 0;
  std::uint32_t smbase = 0x30000;
  std::uint64_t pat = 0x0007040600070406;
  std::uint32_t hflags2 = 0;  ///< made by derive_hflags2()
  std::uint64_t svm_hsave = 0, svm_vmcb = 0, svm_tsc_offset = 0, svm_intercept = 0;
  std::uint16_t svm_cr_read = 0, svm_cr_write = 0, svm_dr_read = 0, svm_dr_write = 0;
  std::uint32_t svm_exceptions = 0;
  std::uint8_t v_tpr = 0;
  std::array<std::uint64_t, 11> mtrr_fixed{};
  std::uint64_t mtrr_default = 0;
  std::array<VariableMtrr, 8> mtrr_variable{};
  std::int32_t interrupt_injected = -1;  ///< vector, -1 none
  std::uint32_t mp_state = mp_state::runnable;
  std::uint64_t tsc = 0;
  std::int32_t exception = -1;  ///< vector, -1 none
  std::uint8_t soft_interrupt = 0, nmi_injected = 0, nmi_pending = 0, has_error_code = 0;
  std::uint32_t sipi_vector = 0;
  std::uint64_t mcg_cap = 0x100010a, mcg_status = 0, mcg_ctl = 0;
  std::array<std::uint64_t, 40> mce_banks{};
  std::uint64_t tsc_aux = 0;
  std::uint64_t kvm_system_time = 0, kvm_wall_clock = 0;
  std::uint64_t xcr0 = 1;
  std::uint64_t xstate_bv = 0;  ///< components of the XSAVE image that are not in their initial state
  std::array<VectorHalf, 16> ymm_high{};

  // subsections of cpu, sent when not at these values
  std::uint8_t exception_pending = 0;
  std::uint8_t exception_injected = 0;
  std::uint8_t exception_has_payload = 0;
  std::uint64_t exception_payload = 0;
  std::uint64_t kvm_async_pf = 0, kvm_async_pf_int = 0, kvm_pv_eoi = 0, kvm_steal_time = 0;
  std::uint64_t kvm_poll_control = 1;
  std::uint16_t fpu_opcode = 0;
  std::uint64_t fpu_ip = 0, fpu_dp = 0;
  std::uint64_t tsc_adjust = 0;
  std::uint64_t tsc_deadline = 0;
  std::uint64_t misc_enable = 1;
  std::uint64_t feature_control = 0;
  std::uint64_t xss = 0;
  std::int64_t tsc_khz = 0;  ///< 0: not known
  std::uint32_t pkru = 0;
  std::uint64_t spec_ctrl = 0;
  std::array<std::uint64_t, 4> pdptrs{};
  bool pdptrs_valid = false;
  std::uint8_t triple_fault = 0;

  // in the hidden words above, kept apart because accelerators have them apart
  bool interrupt_shadow = false;  ///< hflags bit 3
  bool nmi_masked = false;        ///< hflags2 bit 2
  bool smm = false;               ///< hflags bit 19

  bool operator==(const CpuState&) const = default;
};

/// What vCPU number `index` is after power-on or reset: number 0 at the reset vector, the others waiting for
/// SIPI.
CpuState reset_cpu(unsigned index);

/// The words that QEMU's own translator keeps beside the registers (section 3.3). It trusts them, so they
/// must be right.
std::uint32_t derive_hflags(const CpuState& state);
std::uint32_t derive_hflags2(const CpuState& state);

/// The bits of received words that no other field tells.
void take_hflags(CpuState& state);

}  // namespace godwit::vm

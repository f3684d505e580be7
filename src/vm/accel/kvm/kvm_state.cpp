#include "vm/accel/kvm/kvm_state.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/log.h"
#include "vm/accel/kvm/kvm_abi.h"
#include "vm/accel/kvm/kvm_calls.h"
#include "vm/accel/kvm/kvm_cpuid.h"
#include "vm/accel/kvm/kvm_msrs.h"
#include "vm/accel/kvm/kvm_xsave.h"

namespace godwit::vm {
namespace {

using std::uint64_t;

template <typename T>
Result<> get_part(int fd, unsigned long request, T& part, const char* what) {
  if (::ioctl(fd, request, &part) < 0) return system_error(std::string("KVM: cannot read ") + what, errno);
  return {};
}
template <typename T>
Result<> set_part(int fd, unsigned long request, T& part, const char* what) {
  if (::ioctl(fd, request, &part) < 0) return system_error(std::string("KVM: cannot set ") + what, errno);
  return {};
}

// ---- general registers

/// KVM's structure is not in the encoding order.
constexpr unsigned long long kvm_regs::* register_members[register_count] = {
    &kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx, &kvm_regs::rsp, &kvm_regs::rbp,
    &kvm_regs::rsi, &kvm_regs::rdi, &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
    &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};

Result<> get_registers(int fd, CpuState& state) {
  kvm_regs regs{};
  GODWIT_TRY(get_part(fd, KVM_GET_REGS, regs, "the registers"));
  for (unsigned i = 0; i < register_count; ++i) state.registers[i] = regs.*register_members[i];
  state.rip = regs.rip;
  state.rflags = regs.rflags;
  return {};
}

Result<> set_registers(int fd, const CpuState& state) {
  kvm_regs regs{};
  for (unsigned i = 0; i < register_count; ++i) regs.*register_members[i] = state.registers[i];
  regs.rip = state.rip;
  regs.rflags = state.rflags;
  return set_part(fd, KVM_SET_REGS, regs, "the registers");
}

// ---- special registers

Segment from_kvm(const kvm_segment& from) {
  using namespace segment_flag;
  Segment to{from.selector, from.base, from.limit, 0};
  to.flags = static_cast<std::uint32_t>(from.type) << type_shift | (from.s ? code_or_data : 0u) |
             static_cast<std::uint32_t>(from.dpl) << dpl_shift |
             (from.present && !from.unusable ? present : 0u) | (from.avl ? available : 0u) |
             (from.l ? long_code : 0u) | (from.db ? wide : 0u) | (from.g ? granular : 0u);
  return to;
}

kvm_segment to_kvm(const Segment& from) {
  using namespace segment_flag;
  kvm_segment to{};
  to.base = from.base;
  to.limit = from.limit;
  to.selector = static_cast<std::uint16_t>(from.selector);
  to.type = (from.flags & type_mask) >> type_shift;
  to.present = (from.flags & present) != 0;
  to.dpl = static_cast<std::uint8_t>(from.dpl());
  to.db = (from.flags & wide) != 0;
  to.s = (from.flags & code_or_data) != 0;
  to.l = (from.flags & long_code) != 0;
  to.g = (from.flags & granular) != 0;
  to.avl = (from.flags & available) != 0;
  to.unusable = !to.present;
  return to;
}

/// `Sregs`: kvm_sregs, or kvm_sregs2, which has the page directory pointers too. An interrupt on its way is
/// among the events.
template <typename Sregs>
constexpr kvm_segment Sregs::* segment_members[6] = {&Sregs::es, &Sregs::cs, &Sregs::ss,
                                                     &Sregs::ds, &Sregs::fs, &Sregs::gs};

template <typename Sregs>
void unpack(const Sregs& sregs, CpuState& state) {
  for (std::size_t i = 0; i < state.segments.size(); ++i)
    state.segments[i] = from_kvm(sregs.*segment_members<Sregs>[i]);
  if (!(sregs.cr0 & cr0_bit::protection))
    for (Segment& segment : state.segments) segment.flags &= ~segment_flag::dpl_mask;
  state.ldt = from_kvm(sregs.ldt);
  state.tr = from_kvm(sregs.tr);
  state.gdt = {0, sregs.gdt.base, sregs.gdt.limit, 0};
  state.idt = {0, sregs.idt.base, sregs.idt.limit, 0};
  state.cr0 = sregs.cr0;
  state.cr2 = sregs.cr2;
  state.cr3 = sregs.cr3;
  state.cr4 = sregs.cr4;
  state.efer = sregs.efer;
}

/// What belongs to the APIC stays as it is.
template <typename Sregs>
void pack(const CpuState& state, Sregs& sregs) {
  for (std::size_t i = 0; i < state.segments.size(); ++i)
    sregs.*segment_members<Sregs>[i] = to_kvm(state.segments[i]);
  if (!(state.cr0 & cr0_bit::protection))
    for (auto member : segment_members<Sregs>) (sregs.*member).dpl = 0;
  sregs.ldt = to_kvm(state.ldt);
  sregs.tr = to_kvm(state.tr);
  sregs.gdt.base = state.gdt.base;
  sregs.gdt.limit = static_cast<std::uint16_t>(state.gdt.limit);
  sregs.idt.base = state.idt.base;
  sregs.idt.limit = static_cast<std::uint16_t>(state.idt.limit);
  sregs.cr0 = state.cr0;
  sregs.cr2 = state.cr2;
  sregs.cr3 = state.cr3;
  sregs.cr4 = state.cr4;
  sregs.efer = state.efer;
}

Result<> get_special_registers(int fd, bool has_sregs2, CpuState& state) {
  state.interrupt_injected = -1;
  if (!has_sregs2) {
    kvm_sregs sregs{};
    GODWIT_TRY(get_part(fd, KVM_GET_SREGS, sregs, "the special registers"));
    unpack(sregs, state);
    return {};
  }
  kvm_sregs2 sregs{};
  GODWIT_TRY(get_part(fd, KVM_GET_SREGS2, sregs, "the special registers"));
  unpack(sregs, state);
  state.pdptrs_valid = (sregs.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0;
  if (state.pdptrs_valid) std::copy_n(sregs.pdptrs, 4, state.pdptrs.begin());
  return {};
}

Result<> set_special_registers(int fd, bool has_sregs2, const CpuState& state) {
  if (!has_sregs2) {
    kvm_sregs sregs{};
    GODWIT_TRY(get_part(fd, KVM_GET_SREGS, sregs, "the special registers"));
    pack(state, sregs);
    return set_part(fd, KVM_SET_SREGS, sregs, "the special registers");
  }
  kvm_sregs2 sregs{};
  GODWIT_TRY(get_part(fd, KVM_GET_SREGS2, sregs, "the special registers"));
  pack(state, sregs);
  sregs.flags = state.pdptrs_valid ? KVM_SREGS2_FLAGS_PDPTRS_VALID : 0;
  std::ranges::copy(state.pdptrs, sregs.pdptrs);
  return set_part(fd, KVM_SET_SREGS2, sregs, "the special registers");
}

// ---- the rest

Result<> get_xcr0(int fd, CpuState& state) {
  kvm_xcrs xcrs{};
  GODWIT_TRY(get_part(fd, KVM_GET_XCRS, xcrs, "XCR0"));
  for (std::uint32_t i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; ++i)
    if (xcrs.xcrs[i].xcr == 0) state.xcr0 = xcrs.xcrs[i].value;
  return {};
}

Result<> set_xcr0(int fd, const CpuState& state) {
  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].value = state.xcr0;
  return set_part(fd, KVM_SET_XCRS, xcrs, "XCR0");
}

// ---- events

Result<> get_events(int fd, CpuState& state) {
  kvm_vcpu_events events{};
  GODWIT_TRY(get_part(fd, KVM_GET_VCPU_EVENTS, events, "pending events"));
  state.exception = events.exception.injected || events.exception.pending ? events.exception.nr : -1;
  state.exception_injected = events.exception.injected;
  state.exception_pending = events.exception.pending;
  state.has_error_code = events.exception.has_error_code;
  state.exception_has_payload = events.exception_has_payload;
  state.exception_payload = events.exception_payload;
  state.soft_interrupt = events.interrupt.soft;
  if (events.interrupt.injected) state.interrupt_injected = events.interrupt.nr;
  state.interrupt_shadow = events.interrupt.shadow != 0;
  state.nmi_injected = events.nmi.injected;
  state.nmi_pending = events.nmi.pending;
  state.nmi_masked = events.nmi.masked != 0;
  state.sipi_vector = events.sipi_vector;
  state.smm = events.smi.smm != 0;
  return {};
}

Result<> set_events(int fd, const CpuState& state) {
  kvm_vcpu_events events{};
  events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
  events.exception.injected = state.exception >= 0;
  events.exception.nr = static_cast<std::uint8_t>(std::max(state.exception, 0));
  events.exception.has_error_code = state.has_error_code;
  events.interrupt.injected = state.interrupt_injected >= 0;
  events.interrupt.nr = static_cast<std::uint8_t>(std::max(state.interrupt_injected, 0));
  events.interrupt.soft = state.soft_interrupt;
  events.interrupt.shadow = state.interrupt_shadow ? KVM_X86_SHADOW_INT_STI : 0;
  events.nmi.injected = state.nmi_injected;
  events.nmi.pending = state.nmi_pending;
  events.nmi.masked = state.nmi_masked;
  if (state.mp_state == mp_state::sipi_received) {
    events.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
    events.sipi_vector = state.sipi_vector;
  }
  return set_part(fd, KVM_SET_VCPU_EVENTS, events, "pending events");
}

Result<> get_debug_registers(int fd, CpuState& state) {
  kvm_debugregs debug{};
  GODWIT_TRY(get_part(fd, KVM_GET_DEBUGREGS, debug, "the debug registers"));
  std::copy_n(debug.db, 4, state.debug.begin());
  state.debug[4] = state.debug[5] = 0;
  state.debug[6] = debug.dr6;
  state.debug[7] = debug.dr7;
  return {};
}

Result<> set_debug_registers(int fd, const CpuState& state) {
  kvm_debugregs debug{};
  std::copy_n(state.debug.begin(), 4, debug.db);
  debug.dr6 = state.debug[6];
  debug.dr7 = state.debug[7];
  return set_part(fd, KVM_SET_DEBUGREGS, debug, "the debug registers");
}

}  // namespace

Result<> KvmStateAccess::prepare(int fd, unsigned index, const KvmCpuTraits& traits) {
  fd_ = fd;
  has_apic_ = traits.has_apic;
  std::vector<kvm_cpuid_entry2> entries(traits.cpuid.begin(), traits.cpuid.end());
  number_cpuid(entries, index);
  abi::Cpuid cpuid(entries.size());
  std::ranges::copy(entries, cpuid.entries().begin());
  GODWIT_TRY(set_part(fd, abi::set_cpuid, *cpuid.header(), "what CPUID says"));
  for (const auto& entry : entries)
    if (entry.function == 0xd && entry.index == 0) components_ |= entry.eax;

  kvm_sregs2 sregs2{};
  has_sregs2_ = ::ioctl(fd, KVM_GET_SREGS2, &sregs2) == 0;
  tsc_khz_ = std::max(::ioctl(fd, KVM_GET_TSC_KHZ, 0ul), 0);
  probe_msrs(traits);
  return {};
}

/// Now, because each register that KVM refuses costs a call of its own, and a hand-over has no time for that.
void KvmStateAccess::probe_msrs(const KvmCpuTraits& traits) {
  CpuState scratch;
  for (const MsrPlace& place : msr_places(scratch)) {
    abi::Msrs request(1);
    request.entries()[0].index = place.index;
    if (::ioctl(fd_, abi::get_msrs, request.header()) != 1) {
      if (std::ranges::binary_search(traits.msr_indices, place.index))
        log::debug("KVM lists the model specific register {:#x} but does not give it", place.index);
      continue;
    }
    readable_msrs_.push_back(place.index);
    // What it already has: if KVM refuses that, it refuses everything.
    if (::ioctl(fd_, abi::set_msrs, request.header()) != 1)
      fixed_msrs_.push_back({place.index, request.entries()[0].data});
  }
  std::ranges::sort(readable_msrs_);
  std::ranges::sort(fixed_msrs_, {}, &FixedMsr::index);
}

Result<> KvmStateAccess::get(CpuState& state) const {
  if (has_apic_) {
    // First: KVM takes a start-up that has come in when it is asked.
    kvm_mp_state mp{};
    GODWIT_TRY(get_part(fd_, KVM_GET_MP_STATE, mp, "the start-up state"));
    state.mp_state = mp.mp_state;
    state.halted = mp.mp_state == KVM_MP_STATE_HALTED;
  }
  GODWIT_TRY(get_registers(fd_, state));
  GODWIT_TRY(get_special_registers(fd_, has_sregs2_, state));
  abi::Xsave area;
  GODWIT_TRY(get_part(fd_, abi::get_xsave, area, "the vector registers"));
  unpack_xsave(area, state);
  GODWIT_TRY(get_xcr0(fd_, state));
  GODWIT_TRY(get_msrs(state));
  GODWIT_TRY(get_events(fd_, state));
  GODWIT_TRY(get_debug_registers(fd_, state));
  state.tsc_khz = tsc_khz_;
  state.hflags = derive_hflags(state);
  state.hflags2 = derive_hflags2(state);
  return {};
}

Result<> KvmStateAccess::set(const CpuState& state) {
  set_tsc_frequency(state.tsc_khz);
  GODWIT_TRY(set_special_registers(fd_, has_sregs2_, state));
  GODWIT_TRY(set_registers(fd_, state));
  abi::Xsave area = pack_xsave(state, components_);
  GODWIT_TRY(set_part(fd_, abi::set_xsave, area, "the vector registers"));
  GODWIT_TRY(set_xcr0(fd_, state));
  set_msrs(state);
  GODWIT_TRY(set_events(fd_, state));
  if (has_apic_) {
    kvm_mp_state mp{state.mp_state};
    GODWIT_TRY(set_part(fd_, KVM_SET_MP_STATE, mp, "the start-up state"));
  }
  return set_debug_registers(fd_, state);
}

void KvmStateAccess::set_tsc_frequency(std::int64_t khz) {
  if (khz <= 0 || khz == tsc_khz_) return;
  if (::ioctl(fd_, KVM_SET_TSC_KHZ, static_cast<unsigned long>(khz)) < 0)
    log::warn("the guest's time stamp counter ran at {} kHz and runs at {} kHz here", khz, tsc_khz_);
  else
    tsc_khz_ = khz;
}

Result<> KvmStateAccess::get_msrs(CpuState& state) const {
  abi::Msrs request(readable_msrs_.size());
  std::vector<MsrPlace> asked;
  for (const MsrPlace& place : msr_places(state)) {
    if (!std::ranges::binary_search(readable_msrs_, place.index)) continue;
    request.entries()[asked.size()].index = place.index;
    asked.push_back(place);
  }
  const int got = ::ioctl(fd_, abi::get_msrs, request.header());
  if (got < 0 || static_cast<std::size_t>(got) != asked.size())
    return system_error("KVM: cannot read the model specific registers", got < 0 ? errno : EIO);
  for (std::size_t i = 0; i < asked.size(); ++i) asked[i].store(request.entries()[i].data);
  return {};
}

Result<std::uint64_t> KvmStateAccess::ticks() const {
  abi::Msrs request(1);
  request.entries()[0].index = msr::tsc;
  if (const int got = ::ioctl(fd_, abi::get_msrs, request.header()); got != 1)
    return system_error("KVM: cannot read the time stamp counter", got < 0 ? errno : EIO);
  return request.entries()[0].data;
}

void KvmStateAccess::report_fixed_msr(const MsrPlace& place) const {
  const auto fixed = std::ranges::lower_bound(fixed_msrs_, place.index, {}, &FixedMsr::index);
  if (fixed->value != place.value())
    log::warn(
        "the guest's model specific register {:#x} was {:#x} and is {:#x} here, which KVM does not change",
        place.index, place.value(), fixed->value);
}

void KvmStateAccess::set_msrs(const CpuState& state) const {
  CpuState copy = state;
  std::vector<kvm_msr_entry> wanted;
  for (const MsrPlace& place : msr_places(copy)) {
    if (!std::ranges::binary_search(readable_msrs_, place.index)) continue;
    if (std::ranges::binary_search(fixed_msrs_, place.index, {}, &FixedMsr::index))
      report_fixed_msr(place);
    else
      wanted.push_back({place.index, 0, place.value()});
  }

  // One that KVM takes, but not this value, makes it stop there: go on behind it.
  for (std::size_t done = 0; done < wanted.size();) {
    abi::Msrs request(wanted.size() - done);
    std::ranges::copy(std::span(wanted).subspan(done), request.entries().begin());
    const int set = ::ioctl(fd_, abi::set_msrs, request.header());
    done += static_cast<std::size_t>(std::max(set, 0));
    if (done == wanted.size()) break;
    log::warn("KVM does not take {:#x}, which the guest had, for the model specific register {:#x}",
              wanted[done].data, wanted[done].index);
    ++done;
  }
}

}  // namespace godwit::vm

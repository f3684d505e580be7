#include "vm/accel/cpu_section.h"

namespace godwit::vm {
namespace {

using Table = FieldTable<CpuState>;

FieldTable<FpuRegister> fpu_register_table() {
  // Two structures deep, because the peer's description says so.
  const auto inner = FieldTable<FpuRegister>("fpreg_tmp", {.version = 0})
                         .field("tmp_mant", &FpuRegister::mantissa)
                         .field("tmp_exp", &FpuRegister::exponent);
  return FieldTable<FpuRegister>("fpreg", {.version = 0})
      .temporary<FpuRegister>(
          inner, [](const FpuRegister& value) { return value; },
          [](FpuRegister& to, const FpuRegister& from) -> Result<> {
            to = from;
            return {};
          });
}

FieldTable<Segment> segment_table() {
  return FieldTable<Segment>("segment")
      .field("selector", &Segment::selector)
      .field("base", &Segment::base)
      .field("limit", &Segment::limit)
      .field("flags", &Segment::flags);
}

FieldTable<VectorHalf> vector_table(const char* name, const char* low, const char* high) {
  return FieldTable<VectorHalf>(name).field(low, &VectorHalf::low).field(high, &VectorHalf::high);
}

FieldTable<VariableMtrr> variable_mtrr_table() {
  return FieldTable<VariableMtrr>("mtrr_var")
      .field("base", &VariableMtrr::base)
      .field("mask", &VariableMtrr::mask);
}

void add_general(Table& table) {
  const auto segment = segment_table();
  table.field("env.regs", &CpuState::registers)
      .field("env.eip", &CpuState::rip)
      .field("env.eflags", &CpuState::rflags)
      .field("env.hflags", &CpuState::hflags)
      .field("env.fpuc", &CpuState::fpu_control)
      .field("env.fpus_vmstate", &CpuState::fpu_status)
      .field("env.fptag_vmstate", &CpuState::fpu_tags)
      .field("env.fpregs_format_vmstate", &CpuState::fpu_format, in_range(0, 0))
      .structure("env.fpregs", &CpuState::fpu, fpu_register_table())
      .structure("env.segs", &CpuState::segments, segment)
      .structure("env.ldt", &CpuState::ldt, segment)
      .structure("env.tr", &CpuState::tr, segment)
      .structure("env.gdt", &CpuState::gdt, segment)
      .structure("env.idt", &CpuState::idt, segment)
      .field("env.sysenter_cs", &CpuState::sysenter_cs)
      .field("env.sysenter_esp", &CpuState::sysenter_esp)
      .field("env.sysenter_eip", &CpuState::sysenter_eip)
      .field("env.cr[0]", &CpuState::cr0)
      .field("env.cr[2]", &CpuState::cr2)
      .field("env.cr[3]", &CpuState::cr3)
      .field("env.cr[4]", &CpuState::cr4)
      .field("env.dr", &CpuState::debug)
      .field("env.a20_mask", &CpuState::a20_mask)
      .field("env.mxcsr", &CpuState::mxcsr)
      .structure("env.xmm_regs", &CpuState::xmm, vector_table("xmm_reg", "_q_ZMMReg[0]", "_q_ZMMReg[1]"));
}

void add_system(Table& table) {
  table.field("env.efer", &CpuState::efer)
      .field("env.star", &CpuState::star)
      .field("env.lstar", &CpuState::lstar)
      .field("env.cstar", &CpuState::cstar)
      .field("env.fmask", &CpuState::fmask)
      .field("env.kernelgsbase", &CpuState::kernel_gs_base)
      .field("env.smbase", &CpuState::smbase)
      .field("env.pat", &CpuState::pat)
      .field("env.hflags2", &CpuState::hflags2)
      .field("env.vm_hsave", &CpuState::svm_hsave)
      .field("env.vm_vmcb", &CpuState::svm_vmcb)
      .field("env.tsc_offset", &CpuState::svm_tsc_offset)
      .field("env.intercept", &CpuState::svm_intercept)
      .field("env.intercept_cr_read", &CpuState::svm_cr_read)
      .field("env.intercept_cr_write", &CpuState::svm_cr_write)
      .field("env.intercept_dr_read", &CpuState::svm_dr_read)
      .field("env.intercept_dr_write", &CpuState::svm_dr_write)
      .field("env.intercept_exceptions", &CpuState::svm_exceptions)
      .field("env.v_tpr", &CpuState::v_tpr)
      .field("env.mtrr_fixed", &CpuState::mtrr_fixed)
      .field("env.mtrr_deftype", &CpuState::mtrr_default)
      .structure("env.mtrr_var", &CpuState::mtrr_variable, variable_mtrr_table())
      .field("env.interrupt_injected", &CpuState::interrupt_injected, in_range(-1, 255))
      .field("env.mp_state", &CpuState::mp_state, in_range(0, mp_state::sipi_received))
      .field("env.tsc", &CpuState::tsc)
      .field("env.exception_nr", &CpuState::exception, in_range(-1, 31))
      .field("env.soft_interrupt", &CpuState::soft_interrupt)
      .field("env.nmi_injected", &CpuState::nmi_injected)
      .field("env.nmi_pending", &CpuState::nmi_pending)
      .field("env.has_error_code", &CpuState::has_error_code)
      .field("env.sipi_vector", &CpuState::sipi_vector)
      .field("env.mcg_cap", &CpuState::mcg_cap)
      .field("env.mcg_status", &CpuState::mcg_status)
      .field("env.mcg_ctl", &CpuState::mcg_ctl)
      .field("env.mce_banks", &CpuState::mce_banks)
      .field("env.tsc_aux", &CpuState::tsc_aux)
      .field("env.system_time_msr", &CpuState::kvm_system_time)
      .field("env.wall_clock_msr", &CpuState::kvm_wall_clock)
      .field("env.xcr0", &CpuState::xcr0)
      .since(12)
      .field("env.xstate_bv", &CpuState::xstate_bv)
      .since(12)
      .structure("env.xmm_regs", &CpuState::ymm_high,
                 vector_table("ymmh_reg", "_q_ZMMReg[2]", "_q_ZMMReg[3]"))
      .since(12);
}

/// A subsection of one field, sent when it is not at its reset value.
template <typename M>
void add_word(Table& table, const char* name, const char* field, M CpuState::* member, M reset_value = {}) {
  table.subsection(Table(name).field(field, member),
                   [member, reset_value](const CpuState& state) { return state.*member != reset_value; });
}

void add_subsections(Table& table) {
  table.subsection(
      Table("cpu/exception_info")
          .field("env.exception_pending", &CpuState::exception_pending)
          .field("env.exception_injected", &CpuState::exception_injected)
          .field("env.exception_has_payload", &CpuState::exception_has_payload)
          .field("env.exception_payload", &CpuState::exception_payload),
      [](const CpuState&) { return false; });  // only of use to guests of guests, which we have not
  add_word(table, "cpu/async_pf_msr", "env.async_pf_en_msr", &CpuState::kvm_async_pf);
  add_word(table, "cpu/async_pf_int_msr", "env.async_pf_int_msr", &CpuState::kvm_async_pf_int);
  add_word(table, "cpu/async_pv_eoi_msr", "env.pv_eoi_en_msr", &CpuState::kvm_pv_eoi);
  add_word(table, "cpu/steal_time_msr", "env.steal_time_msr", &CpuState::kvm_steal_time);
  add_word(table, "cpu/poll_control_msr", "env.poll_control_msr", &CpuState::kvm_poll_control,
           std::uint64_t{1});
  table.subsection(Table("cpu/fpop_ip_dp")
                       .field("env.fpop", &CpuState::fpu_opcode)
                       .field("env.fpip", &CpuState::fpu_ip)
                       .field("env.fpdp", &CpuState::fpu_dp),
                   [](const CpuState& state) { return state.fpu_opcode || state.fpu_ip || state.fpu_dp; });
  add_word(table, "cpu/msr_tsc_adjust", "env.tsc_adjust", &CpuState::tsc_adjust);
  add_word(table, "cpu/msr_tscdeadline", "env.tsc_deadline", &CpuState::tsc_deadline);
  add_word(table, "cpu/msr_ia32_misc_enable", "env.msr_ia32_misc_enable", &CpuState::misc_enable,
           std::uint64_t{1});
  add_word(table, "cpu/msr_ia32_feature_control", "env.msr_ia32_feature_control", &CpuState::feature_control);
  add_word(table, "cpu/xss", "env.xss", &CpuState::xss);
  add_word(table, "cpu/tsc_khz", "env.tsc_khz", &CpuState::tsc_khz);
  add_word(table, "cpu/pkru", "env.pkru", &CpuState::pkru);
  add_word(table, "cpu/spec_ctrl", "env.spec_ctrl", &CpuState::spec_ctrl);
  table.subsection(Table("cpu/pdptrs").field("env.pdptrs", &CpuState::pdptrs).post_load([](CpuState& state) {
    state.pdptrs_valid = true;
  }),
                   [](const CpuState& state) { return state.pdptrs_valid; });
  add_word(table, "cpu/triple_fault", "env.triple_fault_pending", &CpuState::triple_fault);
}

}  // namespace

const FieldTable<CpuState>& cpu_common_table() {
  static const auto table = FieldTable<CpuState>("cpu_common")
                                .field("halted", &CpuState::halted)
                                .field("interrupt_request", &CpuState::interrupt_request)
                                .pre_load([](CpuState& state) { state = CpuState(); });
  return table;
}

const FieldTable<CpuState>& cpu_table() {
  static const auto table = [] {
    Table built("cpu", {.version = 12, .minimum_version = 11});
    add_general(built);
    add_system(built);
    add_subsections(built);
    built.pre_load([](CpuState& state) {
      CpuState fresh;
      fresh.halted = state.halted;
      fresh.interrupt_request = state.interrupt_request;
      state = fresh;
    });
    built.post_load([](CpuState& state) { take_hflags(state); });
    return built;
  }();
  return table;
}

}  // namespace godwit::vm

// Section "cpu" of x86 (x86-machine-state section 3): the largest table.
#include <string>

#include "wire/test_devices.h"

namespace godwit::wire::test {
namespace {

using std::int16_t, std::int32_t, std::int64_t, std::uint16_t, std::uint32_t, std::uint64_t, std::uint8_t;

template <std::size_t n>
using Words64 = std::array<uint64_t, n>;
template <std::size_t n>
using Words32 = std::array<uint32_t, n>;

struct Segment {
  uint32_t selector = 0, limit = 0, flags = 0;
  uint64_t base = 0;
};
const auto segment = FieldTable<Segment>("segment")
                         .field("selector", &Segment::selector)
                         .field("base", &Segment::base)
                         .field("limit", &Segment::limit)
                         .field("flags", &Segment::flags);

struct FpRegister {
  uint64_t mantissa = 0;
  uint16_t exponent = 0;
};
struct FpTemporary {
  uint64_t mantissa;
  uint16_t exponent;
};
const auto fp_register = FieldTable<FpRegister>("fpreg", {.version = 0})
                             .temporary(
                                 FieldTable<FpTemporary>("fpreg_tmp", {.version = 0})
                                     .field("tmp_mant", &FpTemporary::mantissa)
                                     .field("tmp_exp", &FpTemporary::exponent),
                                 [](const FpRegister& r) { return FpTemporary{r.mantissa, r.exponent}; },
                                 [](FpRegister& r, const FpTemporary& t) -> Result<> {
                                   r = {t.mantissa, t.exponent};
                                   return {};
                                 });

struct Vector {
  Words64<4> q{};
};
template <std::size_t i>
uint64_t& quad(Vector& v) {
  return v.q[i];
}
const auto xmm = FieldTable<Vector>("xmm_reg").field("_q_ZMMReg[0]", quad<0>).field("_q_ZMMReg[1]", quad<1>);
const auto ymmh =
    FieldTable<Vector>("ymmh_reg").field("_q_ZMMReg[2]", quad<2>).field("_q_ZMMReg[3]", quad<3>);

struct Mtrr {
  uint64_t base = 0, mask = 0;
};
const auto mtrr = FieldTable<Mtrr>("mtrr_var").field("base", &Mtrr::base).field("mask", &Mtrr::mask);

struct Cpu {
  Words64<16> regs{};
  uint64_t eip = 0, eflags = 0;
  uint32_t hflags = 0;
  uint16_t fpuc = 0, fpus = 0, fptag = 0, fpregs_format = 0;
  std::array<FpRegister, 8> fpregs{};
  std::array<Segment, 6> segs{};
  Segment ldt, tr, gdt, idt;
  uint32_t sysenter_cs = 0;
  uint64_t sysenter_esp = 0, sysenter_eip = 0;
  Words64<5> cr{};
  Words64<8> dr{};
  int32_t a20_mask = 0;
  uint32_t mxcsr = 0;
  std::array<Vector, 16> vectors{};
  Words64<6> syscall{};  // efer, star, lstar, cstar, fmask, kernelgsbase
  uint32_t smbase = 0;
  uint64_t pat = 0;
  uint32_t hflags2 = 0;
  Words64<4> svm{};
  std::array<uint16_t, 4> svm_intercept{};
  uint32_t intercept_exceptions = 0;
  uint8_t v_tpr = 0;
  Words64<11> mtrr_fixed{};
  uint64_t mtrr_deftype = 0;
  std::array<Mtrr, 8> mtrr_var{};
  int32_t interrupt_injected = 0;
  uint32_t mp_state = 0;
  uint64_t tsc = 0;
  int32_t exception_nr = 0;
  std::array<uint8_t, 4> events{};
  uint32_t sipi_vector = 0;
  Words64<3> mcg{};
  Words64<40> mce_banks{};
  uint64_t tsc_aux = 0, system_time_msr = 0, wall_clock_msr = 0, xcr0 = 0, xstate_bv = 0;
  uint64_t poll_control = 1, fpip = 0, fpdp = 0;
  uint16_t fpop = 0;
  int64_t tsc_khz = 0;
};

template <auto member, std::size_t i>
auto& at(Cpu& cpu) {
  return (cpu.*member)[i];
}

FieldTable<Cpu> cpu_table() {
  FieldTable<Cpu> t("cpu", {.version = 12, .minimum_version = 11});
  t.field("env.regs", &Cpu::regs).field("env.eip", &Cpu::eip).field("env.eflags", &Cpu::eflags);
  t.field("env.hflags", &Cpu::hflags).field("env.fpuc", &Cpu::fpuc).field("env.fpus_vmstate", &Cpu::fpus);
  t.field("env.fptag_vmstate", &Cpu::fptag)
      .field("env.fpregs_format_vmstate", &Cpu::fpregs_format, one_of({0}));
  t.structure("env.fpregs", &Cpu::fpregs, fp_register).structure("env.segs", &Cpu::segs, segment);
  t.structure("env.ldt", &Cpu::ldt, segment).structure("env.tr", &Cpu::tr, segment);
  t.structure("env.gdt", &Cpu::gdt, segment).structure("env.idt", &Cpu::idt, segment);
  t.field("env.sysenter_cs", &Cpu::sysenter_cs).field("env.sysenter_esp", &Cpu::sysenter_esp);
  t.field("env.sysenter_eip", &Cpu::sysenter_eip);
  t.field("env.cr[0]", at<&Cpu::cr, 0>).field("env.cr[2]", at<&Cpu::cr, 2>);
  t.field("env.cr[3]", at<&Cpu::cr, 3>).field("env.cr[4]", at<&Cpu::cr, 4>).field("env.dr", &Cpu::dr);
  t.field("env.a20_mask", &Cpu::a20_mask).field("env.mxcsr", &Cpu::mxcsr);
  t.structure("env.xmm_regs", &Cpu::vectors, xmm);
  t.field("env.efer", at<&Cpu::syscall, 0>).field("env.star", at<&Cpu::syscall, 1>);
  t.field("env.lstar", at<&Cpu::syscall, 2>).field("env.cstar", at<&Cpu::syscall, 3>);
  t.field("env.fmask", at<&Cpu::syscall, 4>).field("env.kernelgsbase", at<&Cpu::syscall, 5>);
  t.field("env.smbase", &Cpu::smbase).field("env.pat", &Cpu::pat).field("env.hflags2", &Cpu::hflags2);
  t.field("env.vm_hsave", at<&Cpu::svm, 0>).field("env.vm_vmcb", at<&Cpu::svm, 1>);
  t.field("env.tsc_offset", at<&Cpu::svm, 2>).field("env.intercept", at<&Cpu::svm, 3>);
  t.field("env.intercept_cr_read", at<&Cpu::svm_intercept, 0>)
      .field("env.intercept_cr_write", at<&Cpu::svm_intercept, 1>);
  t.field("env.intercept_dr_read", at<&Cpu::svm_intercept, 2>)
      .field("env.intercept_dr_write", at<&Cpu::svm_intercept, 3>);
  t.field("env.intercept_exceptions", &Cpu::intercept_exceptions).field("env.v_tpr", &Cpu::v_tpr);
  t.field("env.mtrr_fixed", &Cpu::mtrr_fixed).field("env.mtrr_deftype", &Cpu::mtrr_deftype);
  t.structure("env.mtrr_var", &Cpu::mtrr_var, mtrr);
  t.field("env.interrupt_injected", &Cpu::interrupt_injected).field("env.mp_state", &Cpu::mp_state);
  t.field("env.tsc", &Cpu::tsc).field("env.exception_nr", &Cpu::exception_nr);
  t.field("env.soft_interrupt", at<&Cpu::events, 0>).field("env.nmi_injected", at<&Cpu::events, 1>);
  t.field("env.nmi_pending", at<&Cpu::events, 2>).field("env.has_error_code", at<&Cpu::events, 3>);
  t.field("env.sipi_vector", &Cpu::sipi_vector);
  t.field("env.mcg_cap", at<&Cpu::mcg, 0>)
      .field("env.mcg_status", at<&Cpu::mcg, 1>)
      .field("env.mcg_ctl", at<&Cpu::mcg, 2>);
  t.field("env.mce_banks", &Cpu::mce_banks).field("env.tsc_aux", &Cpu::tsc_aux);
  t.field("env.system_time_msr", &Cpu::system_time_msr).field("env.wall_clock_msr", &Cpu::wall_clock_msr);
  t.field("env.xcr0", &Cpu::xcr0).since(12).field("env.xstate_bv", &Cpu::xstate_bv).since(12);
  t.structure("env.xmm_regs", &Cpu::vectors, ymmh).since(12);
  t.subsection(FieldTable<Cpu>("cpu/poll_control_msr").field("env.poll_control_msr", &Cpu::poll_control),
               [](const Cpu& c) { return c.poll_control != 1; });
  t.subsection(FieldTable<Cpu>("cpu/fpop_ip_dp")
                   .field("env.fpop", &Cpu::fpop)
                   .field("env.fpip", &Cpu::fpip)
                   .field("env.fpdp", &Cpu::fpdp),
               [](const Cpu& c) { return c.fpop != 0 || c.fpip != 0 || c.fpdp != 0; });
  t.subsection(FieldTable<Cpu>("cpu/tsc_khz").field("env.tsc_khz", &Cpu::tsc_khz),
               [](const Cpu& c) { return c.tsc_khz != 0; });
  return t;
}

}  // namespace

Device make_cpu(std::uint32_t instance) {
  static const auto table = cpu_table();
  auto state = std::make_shared<Cpu>();
  return {state, make_section("cpu", instance, table, *state)};
}

}  // namespace godwit::wire::test

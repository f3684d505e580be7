#include "wire/test_devices.h"

#include <functional>
#include <map>
#include <string>

#include "base/fail.h"

namespace godwit::wire::test {
namespace {

using std::int16_t, std::int32_t, std::int64_t, std::uint16_t, std::uint32_t, std::uint64_t, std::uint8_t;

template <std::size_t n>
using Words64 = std::array<uint64_t, n>;
template <std::size_t n>
using Words32 = std::array<uint32_t, n>;

struct Timer {
  int64_t ticks = 0, clock = 0;
};
const auto timer = FieldTable<Timer>("timer", {.version = 2, .minimum_version = 1})
                       .field("cpu_ticks_offset", &Timer::ticks)
                       .unused(8)
                       .field("cpu_clock_offset", &Timer::clock)
                       .since(2);

struct GlobalState {
  uint32_t size = 0;
  std::array<char, 100> runstate{};
};
const auto globalstate = FieldTable<GlobalState>("globalstate")
                             .field("size", &GlobalState::size, in_range(1, 100))
                             .buffer("runstate", &GlobalState::runstate)
                             .post_load([](GlobalState& state) -> Result<> {
                               if (state.runstate[state.size - 1] != 0) return fail("run state: expected a closing zero");
                               return {};
                             });

struct CpuCommon {
  uint32_t halted = 0, interrupt_request = 0;
  int32_t exception_index = -1;
};
const auto cpu_common =
    FieldTable<CpuCommon>("cpu_common")
        .field("halted", &CpuCommon::halted)
        .field("interrupt_request", &CpuCommon::interrupt_request)
        .subsection(FieldTable<CpuCommon>("cpu_common/exception_index").field("exception_index", &CpuCommon::exception_index),
                    [](const CpuCommon& cpu) { return cpu.exception_index != -1; });

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
const auto fp_register =
    FieldTable<FpRegister>("fpreg", {.version = 0})
        .temporary(FieldTable<FpTemporary>("fpreg_tmp", {.version = 0})
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
const auto ymmh = FieldTable<Vector>("ymmh_reg").field("_q_ZMMReg[2]", quad<2>).field("_q_ZMMReg[3]", quad<3>);

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
  t.field("env.fptag_vmstate", &Cpu::fptag).field("env.fpregs_format_vmstate", &Cpu::fpregs_format, one_of({0}));
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
  t.field("env.intercept_cr_read", at<&Cpu::svm_intercept, 0>).field("env.intercept_cr_write", at<&Cpu::svm_intercept, 1>);
  t.field("env.intercept_dr_read", at<&Cpu::svm_intercept, 2>).field("env.intercept_dr_write", at<&Cpu::svm_intercept, 3>);
  t.field("env.intercept_exceptions", &Cpu::intercept_exceptions).field("env.v_tpr", &Cpu::v_tpr);
  t.field("env.mtrr_fixed", &Cpu::mtrr_fixed).field("env.mtrr_deftype", &Cpu::mtrr_deftype);
  t.structure("env.mtrr_var", &Cpu::mtrr_var, mtrr);
  t.field("env.interrupt_injected", &Cpu::interrupt_injected).field("env.mp_state", &Cpu::mp_state);
  t.field("env.tsc", &Cpu::tsc).field("env.exception_nr", &Cpu::exception_nr);
  t.field("env.soft_interrupt", at<&Cpu::events, 0>).field("env.nmi_injected", at<&Cpu::events, 1>);
  t.field("env.nmi_pending", at<&Cpu::events, 2>).field("env.has_error_code", at<&Cpu::events, 3>);
  t.field("env.sipi_vector", &Cpu::sipi_vector);
  t.field("env.mcg_cap", at<&Cpu::mcg, 0>).field("env.mcg_status", at<&Cpu::mcg, 1>).field("env.mcg_ctl", at<&Cpu::mcg, 2>);
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

struct Handlers {
  uint32_t set_tpr = 0, set_tpr_eax = 0, get_tpr_stack = 0;
  Words32<8> get_tpr{};
};
const auto handlers = FieldTable<Handlers>("kvmvapic-handlers")
                          .field("set_tpr", &Handlers::set_tpr)
                          .field("set_tpr_eax", &Handlers::set_tpr_eax)
                          .field("get_tpr", &Handlers::get_tpr)
                          .field("get_tpr_stack", &Handlers::get_tpr_stack);

struct GuestRom {
  uint32_t vaddr = 0, fixup_start = 0, fixup_end = 0, vapic_vaddr = 0, vapic_size = 0, vcpu_shift = 0, real_tpr_addr = 0;
  Handlers up, mp;
};
const auto guest_rom = FieldTable<GuestRom>("kvmvapic-guest-rom")
                           .unused(8)
                           .field("vaddr", &GuestRom::vaddr)
                           .field("fixup_start", &GuestRom::fixup_start)
                           .field("fixup_end", &GuestRom::fixup_end)
                           .field("vapic_vaddr", &GuestRom::vapic_vaddr)
                           .field("vapic_size", &GuestRom::vapic_size)
                           .field("vcpu_shift", &GuestRom::vcpu_shift)
                           .field("real_tpr_addr", &GuestRom::real_tpr_addr)
                           .structure("up", &GuestRom::up, handlers)
                           .structure("mp", &GuestRom::mp, handlers);

struct TprOption {
  GuestRom rom;
  uint32_t state = 0, real_tpr_addr = 0, rom_state_vaddr = 0, vapic_paddr = 0, rom_state_paddr = 0;
};
const auto tpr_option = FieldTable<TprOption>("kvm-tpr-opt")
                            .structure("rom_state", &TprOption::rom, guest_rom)
                            .field("state", &TprOption::state)
                            .field("real_tpr_addr", &TprOption::real_tpr_addr)
                            .field("rom_state_vaddr", &TprOption::rom_state_vaddr)
                            .field("vapic_paddr", &TprOption::vapic_paddr)
                            .field("rom_state_paddr", &TprOption::rom_state_paddr);

struct Apic {
  uint32_t apicbase = 0, spurious_vec = 0, esr = 0, divide_conf = 0, initial_count = 0;
  uint8_t id = 0, arb_id = 0, tpr = 0, log_dest = 0, dest_mode = 0;
  Words32<8> isr{}, tmr{}, irr{};
  Words32<6> lvt{};
  Words32<2> icr{};
  int32_t count_shift = 0, sipi_vector = 0, wait_for_sipi = 0;
  int64_t load_time = 0, next_time = 0, timer_expiry = 0;
};
const auto apic = FieldTable<Apic>("apic", {.version = 3})
                      .field("apicbase", &Apic::apicbase)
                      .field("id", &Apic::id)
                      .field("arb_id", &Apic::arb_id)
                      .field("tpr", &Apic::tpr)
                      .field("spurious_vec", &Apic::spurious_vec)
                      .field("log_dest", &Apic::log_dest)
                      .field("dest_mode", &Apic::dest_mode, in_range(0, 15))
                      .field("isr", &Apic::isr)
                      .field("tmr", &Apic::tmr)
                      .field("irr", &Apic::irr)
                      .field("lvt", &Apic::lvt)
                      .field("esr", &Apic::esr)
                      .field("icr", &Apic::icr)
                      .field("divide_conf", &Apic::divide_conf)
                      .field("count_shift", &Apic::count_shift, in_range(0, 7))
                      .field("initial_count", &Apic::initial_count)
                      .field("initial_count_load_time", &Apic::load_time)
                      .field("next_time", &Apic::next_time)
                      .field("timer_expiry", &Apic::timer_expiry)
                      .subsection(FieldTable<Apic>("apic_sipi")
                                      .field("sipi_vector", &Apic::sipi_vector)
                                      .field("wait_for_sipi", &Apic::wait_for_sipi),
                                  [](const Apic& a) { return a.wait_for_sipi != 0; });

struct IoApic {
  uint8_t id = 0, ioregsel = 0;
  uint32_t irr = 0;
  Words64<24> redirection{};
};
const auto ioapic = FieldTable<IoApic>("ioapic", {.version = 3, .minimum_version = 1})
                        .field("id", &IoApic::id)
                        .field("ioregsel", &IoApic::ioregsel)
                        .unused(8)
                        .field("irr", &IoApic::irr)
                        .since(2)
                        .field("ioredtbl", &IoApic::redirection);

struct KvmClock {
  uint64_t clock = 0;
  bool reliable = false;
};
const auto kvmclock =
    FieldTable<KvmClock>("kvmclock")
        .field("clock", &KvmClock::clock)
        .subsection(FieldTable<KvmClock>("kvmclock/clock_is_reliable").field("clock_is_reliable", &KvmClock::reliable),
                    [](const KvmClock& clock) { return clock.reliable; });

struct FwCfg {
  uint16_t entry = 0;
  uint32_t offset = 0;
  uint64_t dma = 0, tables = 0, linker = 0, rsdp = 0;
};
const auto fw_cfg = FieldTable<FwCfg>("fw_cfg", {.version = 2})
                        .field("cur_entry", &FwCfg::entry)
                        .field("cur_offset[1]", &FwCfg::offset)
                        .subsection(FieldTable<FwCfg>("fw_cfg/dma", {.version = 0}).field("dma_addr", &FwCfg::dma),
                                    [](const FwCfg&) { return true; })
                        .subsection(FieldTable<FwCfg>("fw_cfg/acpi_mr")
                                        .field("table_mr_size", &FwCfg::tables)
                                        .field("linker_mr_size", &FwCfg::linker)
                                        .field("rsdp_mr_size", &FwCfg::rsdp),
                                    [](const FwCfg& f) { return f.tables != 0; });

struct Pic {
  std::array<uint8_t, 16> registers{};
};
FieldTable<Pic> pic_table() {
  FieldTable<Pic> t("i8259");
  std::size_t i = 0;
  for (const char* name : {"last_irr", "irr", "imr", "isr", "priority_add", "irq_base", "read_reg_select", "poll",
                           "special_mask", "init_state", "auto_eoi", "rotate_on_auto_eoi", "special_fully_nested_mode",
                           "init4", "single_mode", "elcr"}) {
    t.field(name, [i](Pic& pic) -> uint8_t& { return pic.registers[i]; });
    ++i;
  }
  return t;
}

struct PitChannel {
  int32_t count = 0;
  uint16_t latched_count = 0;
  std::array<uint8_t, 10> bytes{};
  int64_t load_time = 0, next_transition = 0;
  uint32_t irq_disabled = 0;
};
FieldTable<PitChannel> pit_channel_table() {
  FieldTable<PitChannel> t("pit channel", {.version = 2});
  t.field("count", &PitChannel::count).field("latched_count", &PitChannel::latched_count);
  std::size_t i = 0;
  for (const char* name : {"count_latched", "status_latched", "status", "read_state", "write_state", "write_latch",
                           "rw_mode", "mode", "bcd", "gate"}) {
    t.field(name, [i](PitChannel& channel) -> uint8_t& { return channel.bytes[i]; });
    ++i;
  }
  t.field("count_load_time", &PitChannel::load_time).field("next_transition_time", &PitChannel::next_transition);
  return t;
}

struct Pit {
  std::array<PitChannel, 3> channels{};
};
const auto pit = FieldTable<Pit>("i8254", {.version = 3})
                     .field("channels[0].irq_disabled", [](Pit& p) -> auto& { return p.channels[0].irq_disabled; })
                     .structure("channels", &Pit::channels, pit_channel_table())
                     .field("channels[0].next_transition_time",
                            [](Pit& p) -> auto& { return p.channels[0].next_transition; });

struct Rtc {
  std::array<uint8_t, 128> cmos{};
  uint8_t index = 0;
  int64_t periodic_timer = -1, next_periodic = 0, offset = 0, update_timer = -1;
  uint32_t coalesced = 0, period = 0;
  uint64_t base = 0, last_update = 0, next_alarm = 0;
  uint16_t reinject = 0;
};
const auto rtc = FieldTable<Rtc>("mc146818rtc", {.version = 3})
                     .buffer("cmos_data", &Rtc::cmos)
                     .field("cmos_index", &Rtc::index)
                     .unused(28)
                     .timer("periodic_timer", &Rtc::periodic_timer)
                     .field("next_periodic_time", &Rtc::next_periodic)
                     .unused(24)
                     .field("irq_coalesced", &Rtc::coalesced)
                     .field("period", &Rtc::period)
                     .field("base_rtc", &Rtc::base)
                     .field("last_update", &Rtc::last_update)
                     .field("offset", &Rtc::offset)
                     .timer("update_timer", &Rtc::update_timer)
                     .field("next_alarm_time", &Rtc::next_alarm)
                     .subsection(FieldTable<Rtc>("mc146818rtc/irq_reinject_on_ack_count")
                                     .field("irq_reinject_on_ack_count", &Rtc::reinject),
                                 [](const Rtc& r) { return r.reinject != 0; });

struct Fifo {
  std::array<uint8_t, 16> data{};
  uint32_t head = 0, count = 0;
};
struct Uart {
  uint16_t divider = 0;
  uint8_t rbr = 0, ier = 0, iir = 0, lcr = 0, mcr = 0, lsr = 0x60, msr = 0, scr = 0, fcr = 0;
  uint32_t tsr_retry = 0;
  uint8_t thr = 0, tsr = 0;
  Fifo receive;
};
struct Serial {
  Uart state;
};
const auto fifo8 = FieldTable<Fifo>("Fifo8")
                       .buffer("data", &Fifo::data)
                       .field("head", &Fifo::head, in_range(0, 15))
                       .field("num", &Fifo::count, in_range(0, 16));
const auto uart = FieldTable<Uart>("serial", {.version = 3, .minimum_version = 2})
                      .field("divider", &Uart::divider)
                      .field("rbr", &Uart::rbr)
                      .field("ier", &Uart::ier)
                      .field("iir", &Uart::iir)
                      .field("lcr", &Uart::lcr)
                      .field("mcr", &Uart::mcr)
                      .field("lsr", &Uart::lsr)
                      .field("msr", &Uart::msr)
                      .field("scr", &Uart::scr)
                      .field("fcr_vmstate", &Uart::fcr)
                      .since(3)
                      .subsection(FieldTable<Uart>("serial/tsr")
                                      .field("tsr_retry", &Uart::tsr_retry)
                                      .field("thr", &Uart::thr)
                                      .field("tsr", &Uart::tsr),
                                  [](const Uart& u) { return u.tsr_retry != 0; })
                      .subsection(FieldTable<Uart>("serial/recv_fifo").structure("recv_fifo", &Uart::receive, fifo8),
                                  [](const Uart& u) { return u.receive.count != 0; })
                      .post_load([](Uart& u) -> Result<> {
                        if (((u.lsr & 0x40) != 0) != (u.tsr_retry == 0))
                          return fail("lsr: expected bit 6 as tsr_retry says, got {:#x}", u.lsr);
                        return {};
                      });
const auto serial =
    FieldTable<Serial>("serial", {.version = 3, .minimum_version = 2}).structure("state", &Serial::state, uart);

/// Counts, lists, bitmaps and comparisons, which no device above has.
struct Zoo {
  uint8_t count = 0;
  std::vector<uint16_t> numbers;
  std::vector<Mtrr> pairs;
  std::vector<Segment> chain;
  Words64<2> bits{};
  uint32_t capacity = 8;
  int32_t limit = 4;
  uint16_t length = 0;
  std::vector<std::uint8_t> blob;
  double real = 0;
  bool flag = false, extended = false;
  std::array<bool, 3> flags{};
  std::vector<Serial> ports = std::vector<Serial>(2);
  std::array<int16_t, 3> opaque{};
  uint64_t deep = 0;
  enum class Mode : uint8_t { a, b, c } mode = Mode::a;
};
const Codec<int16_t> little_endian{
    "little16",
    [](const int16_t& value, Output& out) -> Result<> {
      out.u8(static_cast<uint8_t>(value));
      out.u8(static_cast<uint8_t>(static_cast<uint16_t>(value) >> 8));
      return {};
    },
    [](int16_t& value, Input& in) -> Result<> {
      GODWIT_ASSIGN(const unsigned low, in.u8());
      GODWIT_ASSIGN(const unsigned high, in.u8());
      value = static_cast<int16_t>(low | high << 8);
      return {};
    }};
const auto zoo =
    FieldTable<Zoo>("zoo", {.version = 3, .minimum_version = 1})
        .field("count", &Zoo::count)
        .field("numbers", &Zoo::numbers, counted_by(&Zoo::count, 200))
        .structure("pairs", &Zoo::pairs, mtrr, counted_by<Zoo>([](const Zoo& z) { return z.count / 2u; }, 100))
        .list("chain", &Zoo::chain, segment, 20)
        .bitmap("bits", &Zoo::bits)
        .equal("capacity", &Zoo::capacity)
        .at_most_current("limit", &Zoo::limit)
        .field("length", &Zoo::length)
        .buffer("blob", &Zoo::blob, counted_by(&Zoo::length, 40000))
        .cpu_double("real", &Zoo::real)
        .field("flag", &Zoo::flag)
        .field("flags", &Zoo::flags)
        .when([](const Zoo& z) { return z.flag; })
        .structure("ports", &Zoo::ports, serial)
        .custom("opaque", &Zoo::opaque, little_endian)
        .field("mode", &Zoo::mode, in_range(0, 2))
        .since(3)
        .validate([](const Zoo& z) -> Result<> {
          if (z.mode == Zoo::Mode::c && z.count == 0) return fail("mode: expected a count with mode 2");
          return {};
        })
        .subsection(FieldTable<Zoo>("zoo/extended")
                        .field("extended", &Zoo::extended)
                        .subsection(FieldTable<Zoo>("zoo/extended/deep", {.version = 2, .minimum_version = 1})
                                        .field("deep", &Zoo::deep),
                                    [](const Zoo& z) { return z.deep != 0; }),
                    [](const Zoo& z) { return z.extended; });

using Maker = std::function<Device(std::uint32_t)>;

template <typename T>
Maker maker(std::string name, FieldTable<T> table) {
  return [name = std::move(name), table = std::move(table)](std::uint32_t instance) {
    auto state = std::make_shared<T>();
    return Device{state, make_section(name, instance, table, *state)};
  };
}

const std::map<std::string, Maker, std::less<>>& makers() {
  static const std::map<std::string, Maker, std::less<>> all = {
      {"timer", maker("timer", timer)},
      {"globalstate", maker("globalstate", globalstate)},
      {"cpu_common", maker("cpu_common", cpu_common)},
      {"cpu", maker("cpu", cpu_table())},
      {"kvm-tpr-opt", maker("kvm-tpr-opt", tpr_option)},
      {"apic", maker("apic", apic)},
      {"ioapic", maker("ioapic", ioapic)},
      {"kvmclock", maker("kvmclock", kvmclock)},
      {"fw_cfg", maker("fw_cfg", fw_cfg)},
      {"i8259", maker("i8259", pic_table())},
      {"i8254", maker("i8254", pit)},
      {"mc146818rtc", maker("mc146818rtc", rtc)},
      {"serial", maker("serial", serial)},
      {"zoo", maker("zoo", zoo)},
  };
  return all;
}

}  // namespace

Device make_device(std::string_view name, std::uint32_t instance) {
  const auto found = makers().find(name);
  return found == makers().end() ? Device{} : found->second(instance);
}

std::vector<std::string_view> device_names() {
  std::vector<std::string_view> names;
  for (const auto& [name, make] : makers()) names.push_back(name);
  return names;
}

}  // namespace godwit::wire::test

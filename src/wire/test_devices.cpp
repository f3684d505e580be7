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
                               if (state.runstate[state.size - 1] != 0)
                                 return fail("run state: expected a closing zero");
                               return {};
                             });

struct CpuCommon {
  uint32_t halted = 0, interrupt_request = 0;
  int32_t exception_index = -1;
};
const auto cpu_common = FieldTable<CpuCommon>("cpu_common")
                            .field("halted", &CpuCommon::halted)
                            .field("interrupt_request", &CpuCommon::interrupt_request)
                            .subsection(FieldTable<CpuCommon>("cpu_common/exception_index")
                                            .field("exception_index", &CpuCommon::exception_index),
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

struct Mtrr {
  uint64_t base = 0, mask = 0;
};
const auto mtrr = FieldTable<Mtrr>("mtrr_var").field("base", &Mtrr::base).field("mask", &Mtrr::mask);

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
  uint32_t vaddr = 0, fixup_start = 0, fixup_end = 0, vapic_vaddr = 0, vapic_size = 0, vcpu_shift = 0,
           real_tpr_addr = 0;
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
const auto kvmclock = FieldTable<KvmClock>("kvmclock")
                          .field("clock", &KvmClock::clock)
                          .subsection(FieldTable<KvmClock>("kvmclock/clock_is_reliable")
                                          .field("clock_is_reliable", &KvmClock::reliable),
                                      [](const KvmClock& clock) { return clock.reliable; });

struct FwCfg {
  uint16_t entry = 0;
  uint32_t offset = 0;
  uint64_t dma = 0, tables = 0, linker = 0, rsdp = 0;
};
const auto fw_cfg =
    FieldTable<FwCfg>("fw_cfg", {.version = 2})
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
  for (const char* name : {"last_irr", "irr", "imr", "isr", "priority_add", "irq_base", "read_reg_select",
                           "poll", "special_mask", "init_state", "auto_eoi", "rotate_on_auto_eoi",
                           "special_fully_nested_mode", "init4", "single_mode", "elcr"}) {
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
  for (const char* name : {"count_latched", "status_latched", "status", "read_state", "write_state",
                           "write_latch", "rw_mode", "mode", "bcd", "gate"}) {
    t.field(name, [i](PitChannel& channel) -> uint8_t& { return channel.bytes[i]; });
    ++i;
  }
  t.field("count_load_time", &PitChannel::load_time)
      .field("next_transition_time", &PitChannel::next_transition);
  return t;
}

struct Pit {
  std::array<PitChannel, 3> channels{};
};
const auto pit =
    FieldTable<Pit>("i8254", {.version = 3})
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
const auto uart =
    FieldTable<Uart>("serial", {.version = 3, .minimum_version = 2})
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
const auto serial = FieldTable<Serial>("serial", {.version = 3, .minimum_version = 2})
                        .structure("state", &Serial::state, uart);

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
const Codec<int16_t> little_endian{"little16",
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
        .structure("pairs", &Zoo::pairs, mtrr,
                   counted_by<Zoo>([](const Zoo& z) { return z.count / 2u; }, 100))
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
      {"cpu", make_cpu},
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

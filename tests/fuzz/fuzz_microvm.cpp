// A stream from nobody in particular is loaded into a microvm's devices, once with the kernel's structures
// for interrupt controllers and once with those in software. What was accepted is saved again, and the guest
// uses it for a while: an index that is out of its ring only bites then.
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/device_state.h"
#include "engine/incoming/stream_loader.h"
#include "engine/testing/fake_guest.h"
#include "fuzz.h"
#include "vm/accel/apic_coupling.h"
#include "vm/accel/cpu_section.h"
#include "vm/board/board.h"
#include "vm/devices/software_chips.h"
#include "vm/testing/fake_chips.h"
#include "vm/testing/virtual_time.h"

namespace {

using namespace godwit;

constexpr unsigned cpus = 2;
constexpr std::uint64_t bios_size = 64 * 1024;

/// The shape of the machine that the samples were taken from, without anything that executes.
class MicrovmGuest final : public Guest {
 public:
  explicit MicrovmGuest(bool software_chips)
      : memory_({{"microvm.ram", 512}, {"pc.bios", bios_size / page_size}}) {
    vm::MachineConfig config;
    config.kind = vm::MachineKind::microvm;
    config.vcpus = cpus;
    config.microvm.rtc = true;
    vm::BoardParts parts;
    parts.ram = memory_.ram_blocks()[0].host;
    parts.ram_size = memory_.ram_blocks()[0].size;
    parts.bios = memory_.ram_blocks()[1].host;
    parts.bios_image.resize(bios_size);
    parts.timers = &time_.timers;
    parts.sends_clock = [] { return true; };
    parts.mark_written = [](const vm::MemoryMap::Piece&) {};
    board_ = vm::make_microvm_board(config, std::move(parts));
    if (software_chips) {
      auto options = *board_->chip_options(clock_);
      options.timers = &time_.timers;
      software_chips_.emplace(cpus, options);
      chips_ = &*software_chips_;
    }
    board_->use_chips(*chips_);
    reset();
    sections_.push_back(clock_.section({}, {}));
    board_->add_first_sections(sections_);
    for (unsigned i = 0; i < cpus; ++i) add_cpu(i);
    board_->add_sections(sections_);
  }

  std::string machine_name() const override { return "microvm"; }
  std::optional<Uuid> uuid() const override { return std::nullopt; }
  std::span<const RamBlock> ram_blocks() const override { return memory_.ram_blocks(); }
  DirtyTracker& dirty_tracker() override { return memory_.tracker; }
  std::span<const std::unique_ptr<DeviceSection>> device_sections() override { return sections_; }
  RunState run_state() const override { return RunState::inmigrate; }
  Result<> set_run_state(RunState) override { return {}; }

  /// As before any stream: what one leaves behind is not for the next.
  void reset() {
    time_.virtual_ns = 1'000'000;
    for (unsigned i = 0; i < cpus; ++i) {
      cpus_[i] = board_->initial_cpu(i);
      apics_[i] = vm::reset_apic(i);
      fuzz::expect(chips_->set_apic(i, apics_[i]).has_value(), "a local APIC resets");
    }
    fuzz::expect(board_->await_guest().has_value(), "the devices reset");
  }

  /// What a guest could do next: every port and register, received bytes, time that passes, interrupts.
  void use() {
    const std::array<std::uint8_t, 3> typed{'a', 'b', 'c'};
    board_->serial_input(typed);
    for (int round = 0; round < 3; ++round) {
      for (const auto& [first, last] : ports)
        for (std::uint16_t port = first; port <= last; ++port)
          board_->write_port(port, 1, board_->read_port(port, 1));
      std::array<std::byte, 4> word{};
      for (std::uint64_t offset = 0; offset < 0x20; offset += 0x10) {
        board_->read_memory(ioapic_address + offset, word);
        board_->write_memory(ioapic_address + offset, word);
      }
      if (software_chips_) use_processors();
      time_.advance(50'000'000);
    }
  }

 private:
  static constexpr std::uint64_t ioapic_address = 0xfec00000;
  /// i8259 twice, i8254, port 0x61, mc146818, COM1, fw_cfg.
  static constexpr std::array<std::pair<std::uint16_t, std::uint16_t>, 7> ports{
      {{0x20, 0x21}, {0xa0, 0xa1}, {0x40, 0x43}, {0x61, 0x61}, {0x70, 0x71}, {0x3f8, 0x3ff}, {0x510, 0x51b}}};

  void use_processors() {
    for (unsigned i = 0; i < cpus; ++i) {
      vm::VcpuInterrupts& processor = software_chips_->processor(i);
      for (unsigned offset = 0; offset < vm::VcpuInterrupts::page_size; offset += 0x10)
        (void)processor.read_register(offset);
      for (int event = 0; event < 8 && processor.has_event(true); ++event) (void)processor.take(true);
      processor.write_register(0xb0, 0);  // end of interrupt
    }
  }

  void add_cpu(unsigned index) {
    vm::CpuState& cpu = cpus_[index];
    vm::ApicState& apic = apics_[index];
    const auto take = [&cpu, &apic]() -> Result<> {
      vm::CpuState copy = cpu;
      if (vm::is_from_translator(copy)) vm::accept_from_translator(copy);
      vm::couple_after_loading(copy, apic);
      return {};
    };
    sections_.push_back(make_section("cpu_common", index, vm::cpu_common_table(), cpu));
    sections_.push_back(
        make_section("cpu", index, vm::cpu_table(), cpu, {.before_save = {}, .after_load = take}));
    board_->add_vcpu_sections(index, sections_);
    const auto set = [this, index] { return chips_->set_apic(index, apics_[index]); };
    const auto get = [this, index, &cpu, &apic]() -> Result<> {
      GODWIT_ASSIGN(apic, chips_->apic(index));
      vm::couple_for_saving(cpu, apic);
      return {};
    };
    sections_.push_back(vm::make_apic_section(apic, index, {.before_save = get, .after_load = set}));
  }

  engine::testing::FakeGuest memory_;
  SteadyClock host_clock_;
  vm::GuestClock clock_{host_clock_};
  vm::testing::VirtualTime time_;
  vm::testing::FakeChips kernel_chips_{cpus};
  std::optional<vm::SoftwareChips> software_chips_;
  vm::InterruptChips* chips_ = &kernel_chips_;
  std::unique_ptr<vm::Board> board_;
  std::array<vm::CpuState, cpus> cpus_;
  std::array<vm::ApicState, cpus> apics_;
  std::vector<std::unique_ptr<DeviceSection>> sections_;
};

void load(MicrovmGuest& guest, std::span<const std::byte> bytes) {
  guest.reset();
  const MigrationOptions options;
  engine::StreamLoader loader(guest, {}, options, [](const wire::ReturnMessage&) -> Result<> { return {}; });
  SpanInput in(bytes);
  if (!loader.load(in)) return;
  Output out;
  const auto saved = engine::save_devices(guest, RunState::running, options, out);
  fuzz::expect(saved.has_value(), "what was loaded can be saved", saved ? "" : saved.error().what());
  guest.use();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static MicrovmGuest with_kernel_chips(false);
  static MicrovmGuest with_software_chips(true);
  load(with_kernel_chips, fuzz::bytes(data, size));
  load(with_software_chips, fuzz::bytes(data, size));
  return 0;
}

// A stream from nobody in particular is loaded into a microvm's devices, and what was accepted is saved
// again.
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
#include "vm/testing/fake_chips.h"

namespace {

using namespace godwit;

constexpr unsigned cpus = 2;
constexpr std::uint64_t bios_size = 64 * 1024;

/// The shape of the machine that the samples were taken from, without anything that executes.
class MicrovmGuest final : public Guest {
 public:
  MicrovmGuest() : memory_({{"microvm.ram", 512}, {"pc.bios", bios_size / page_size}}) {
    vm::MachineConfig config;
    config.kind = vm::MachineKind::microvm;
    config.vcpus = cpus;
    config.microvm.rtc = true;
    vm::BoardParts parts;
    parts.ram = memory_.ram_blocks()[0].host;
    parts.ram_size = memory_.ram_blocks()[0].size;
    parts.bios = memory_.ram_blocks()[1].host;
    parts.bios_image.resize(bios_size);
    parts.mark_written = [](const vm::MemoryMap::Piece&) {};
    board_ = vm::make_microvm_board(config, std::move(parts));
    board_->use_chips(chips_);
    fuzz::expect(board_->await_guest().has_value(), "the devices reset");
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

 private:
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
    const auto set = [this, index] { return chips_.set_apic(index, apics_[index]); };
    const auto get = [this, index, &cpu, &apic]() -> Result<> {
      GODWIT_ASSIGN(apic, chips_.apic(index));
      vm::couple_for_saving(cpu, apic);
      return {};
    };
    sections_.push_back(vm::make_apic_section(apic, index, {.before_save = get, .after_load = set}));
  }

  engine::testing::FakeGuest memory_;
  SteadyClock host_clock_;
  vm::GuestClock clock_{host_clock_};
  vm::testing::FakeChips chips_{cpus};
  std::unique_ptr<vm::Board> board_;
  std::array<vm::CpuState, cpus> cpus_;
  std::array<vm::ApicState, cpus> apics_;
  std::vector<std::unique_ptr<DeviceSection>> sections_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static MicrovmGuest guest;
  engine::StreamLoader loader(guest, {}, {}, [](const wire::ReturnMessage&) -> Result<> { return {}; });
  SpanInput in(fuzz::bytes(data, size));
  if (!loader.load(in)) return 0;
  Output out;
  const auto saved = engine::save_devices(guest, RunState::running, {}, out);
  fuzz::expect(saved.has_value(), "what was loaded can be saved");
  return 0;
}

// Machine `microvm`: RAM, a BIOS image, interrupt controllers, and the few devices around them
// (x86-machine-state section 1).
#include <array>
#include <optional>

#include "vm/board/board.h"
#include "vm/board/microvm_memory.h"
#include "vm/devices/fw_cfg.h"
#include "vm/devices/rtc.h"
#include "vm/devices/serial.h"
#include "vm/devices/tpr_opt_state.h"
#include "vm/devices/virtio_slot.h"

namespace godwit::vm {
namespace {

constexpr std::uint16_t com1_port = 0x3f8;
constexpr unsigned com1_line = 4, rtc_line = 8;
constexpr std::uint64_t virtio_base = 0xfeb00000;
constexpr unsigned virtio_slots = 8;

namespace fw_cfg_key {
constexpr std::uint16_t ram_size = 0x03, cpus = 0x05, most_cpus = 0x0f;
}

/// One entry of the memory map that firmware is given.
void append_range(std::vector<std::uint8_t>& map, std::uint64_t address, std::uint64_t length,
                  std::uint32_t type) {
  const auto append = [&map](std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) map.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  append(address, 8);
  append(length, 8);
  append(type, 4);
}

std::vector<std::uint8_t> firmware_memory_map(std::uint64_t ram_size) {
  constexpr std::uint32_t ram = 1, reserved = 2;
  std::vector<std::uint8_t> map;
  append_range(map, 0xfeffc000, 0x4000, reserved);
  append_range(map, 0, std::min(ram_size, microvm_low_ram_end), ram);
  if (ram_size > microvm_low_ram_end) append_range(map, four_gib, ram_size - microvm_low_ram_end, ram);
  return map;
}

class MicrovmBoard final : public Board {
 public:
  MicrovmBoard(const MachineConfig& config, BoardParts parts)
      : Board(
            MemoryMap(microvm_memory_layout(parts.ram, parts.ram_size, parts.bios, parts.bios_image.size())),
            std::move(parts.mark_written)),
        options_(config.microvm),
        sends_clock_(std::move(parts.sends_clock)),
        bios_image_(std::move(parts.bios_image)),
        has_tpr_opt_(parts.ram_size >= least_ram_for_tpr_opt),
        fw_cfg_(*this),
        serial_(config.serial_line, [this](bool level) { set_line(com1_line, level); }) {
    if (options_.rtc.value_or(!parts.is_kvm)) add_rtc(*parts.timers, parts.ram_size);
    fill_fw_cfg(config, parts.ram_size);
    ports_.add(FwCfg::first_port, FwCfg::port_count, fw_cfg_);
    if (options_.serial) ports_.add(com1_port, Serial::register_count, serial_);
    for (unsigned i = 0; i < virtio_slots; ++i)
      mmio_.add(virtio_base + i * VirtioSlot::size, VirtioSlot::size, virtio_slot_);
  }

  Result<> reset() override {
    write_memory(four_gib - bios_image_.size(), bios_image_);
    return await_guest();
  }

  Result<> await_guest() override {
    fw_cfg_.reset();
    serial_.reset();
    if (rtc_) rtc_->reset();
    GODWIT_TRY(chips_->set_ioapic({}));
    for (const unsigned which : {PicState::master, PicState::slave})
      GODWIT_TRY(chips_->set_pic(which, idle_pic()));
    return options_.pit ? chips_->set_pit({}) : Result<>();
  }

  CpuState initial_cpu(unsigned index) const override { return reset_cpu(index); }

  std::optional<ChipOptions> chip_options(const GuestClock& clock) const override {
    return ChipOptions{.clock = clock, .pic = options_.pic, .pit = options_.pit};
  }
  void use_chips(InterruptChips& chips) override {
    chips_ = &chips;
    chips.attach(ports_, mmio_);
  }

  void add_first_sections(Sections& sections) override { sections.push_back(fw_cfg_.section()); }

  void add_vcpu_sections(unsigned index, Sections& sections) override {
    if (index == 0 && has_tpr_opt_) sections.push_back(make_tpr_opt_section(tpr_opt_));
  }

  void add_sections(Sections& sections) override {
    sections.push_back(
        make_ioapic_section(ioapic_, 0,
                            hooks(
                                ioapic_, [this] { return chips_->ioapic(); },
                                [this](const auto& state) { return chips_->set_ioapic(state); })));
    add_clock_section(sections);
    if (options_.pic)
      for (const unsigned which : {PicState::master, PicState::slave})
        sections.push_back(make_pic_section(
            pics_[which], which,
            hooks(
                pics_[which], [this, which] { return chips_->pic(which); },
                [this, which](const auto& state) { return chips_->set_pic(which, state); })));
    if (options_.pit)
      sections.push_back(
          make_pit_section(pit_, hooks(
                                     pit_, [this] { return chips_->pit(); },
                                     [this](const auto& state) { return chips_->set_pit(state); })));
    if (rtc_) sections.push_back(rtc_->section());
    if (options_.serial) sections.push_back(serial_.section());
  }

  void serial_input(std::span<const std::uint8_t> bytes) override {
    if (options_.serial) serial_.receive(bytes);
  }
  void serial_line_ready() override {
    if (options_.serial) serial_.line_ready();
  }

 private:
  /// As the peer has it: room for the option ROM below 1 MiB.
  static constexpr std::uint64_t least_ram_for_tpr_opt = 1 << 20;

  /// Hooks that read a chip's state before it is saved and set it after it was loaded.
  template <typename State, typename Get, typename Set>
  static SectionHooks hooks(State& state, Get get, Set set) {
    return {.before_save = [&state, get]() -> Result<> {
              GODWIT_ASSIGN(state, get());
              return {};
            },
            .after_load = [&state, set]() -> Result<> { return set(state); }};
  }

  void add_rtc(GuestTimers& timers, std::uint64_t ram_size) {
    rtc_.emplace(timers, [this](bool level) { set_line(rtc_line, level); }, ram_size);
    ports_.add(Rtc::first_port, Rtc::port_count, *rtc_);
  }

  void fill_fw_cfg(const MachineConfig& config, std::uint64_t ram_size) {
    fw_cfg_.add_number(fw_cfg_key::ram_size, ram_size);
    fw_cfg_.add_number(fw_cfg_key::cpus, static_cast<std::uint16_t>(config.vcpus));
    fw_cfg_.add_number(fw_cfg_key::most_cpus, static_cast<std::uint16_t>(config.vcpus));
    fw_cfg_.add_file("bios-geometry", {});
    fw_cfg_.add_file("bootorder", {});
    fw_cfg_.add_file("etc/boot-fail-wait", {0xff, 0xff, 0xff, 0xff});
    fw_cfg_.add_file("etc/e820", firmware_memory_map(ram_size));
  }

  /// Without such a clock the section is accepted all the same, as KVM's machines always send it, and never
  /// sent. A guest that reads the clock is refused by the accelerator.
  void add_clock_section(Sections& sections) {
    SectionHooks hooks;
    if (chips_->has_clock()) {
      hooks.before_save = [this]() -> Result<> {
        clock_ = chips_->clock();
        return {};
      };
      hooks.after_load = [this]() -> Result<> {
        chips_->set_clock(clock_);
        return {};
      };
    }
    hooks.is_sent = [this] { return chips_->has_clock() && sends_clock_ && sends_clock_(); };
    sections.push_back(make_kvmclock_section(clock_, std::move(hooks)));
  }

  /// Without a PIC on the board, the accelerator's may not stir.
  PicState idle_pic() const { return options_.pic ? PicState() : PicState{.mask = 0xff}; }

  void set_line(unsigned gsi, bool level) {
    if (chips_) chips_->set_line(gsi, level);
  }

  const MicrovmOptions options_;
  const std::function<bool()> sends_clock_;
  const std::vector<std::byte> bios_image_;
  const bool has_tpr_opt_;
  InterruptChips* chips_ = nullptr;
  FwCfg fw_cfg_;
  Serial serial_;
  std::optional<Rtc> rtc_;
  VirtioSlot virtio_slot_;

  // what the sections are saved from and loaded into
  TprOptState tpr_opt_;
  IoapicState ioapic_;
  std::array<PicState, 2> pics_{};
  PitState pit_;
  KvmclockState clock_;
};

}  // namespace

std::unique_ptr<Board> make_microvm_board(const MachineConfig& config, BoardParts parts) {
  return std::make_unique<MicrovmBoard>(config, std::move(parts));
}

}  // namespace godwit::vm

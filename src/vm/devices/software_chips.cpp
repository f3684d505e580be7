#include "vm/devices/software_chips.h"

#include <algorithm>
#include <cstring>

namespace godwit::vm {
namespace {

constexpr unsigned pit_line = 0;
constexpr std::uint64_t ioapic_page_size = 0x1000;

}  // namespace

SoftwareChips::SoftwareChips(unsigned processors, const ChipOptions& options)
    : has_pic_(options.pic), controllers_(processors, options.pic, *options.timers) {
  if (options.pit)
    pit_.emplace(*options.timers, [this](bool level) { controllers_.set_line(pit_line, level); });
}

Result<> SoftwareChips::set_apic(unsigned cpu, const ApicState& state) {
  controllers_.apic_state(cpu) = state;
  controllers_.after_load_apic(cpu);
  return {};
}

Result<> SoftwareChips::set_ioapic(const IoapicState& state) {
  controllers_.ioapic_state() = state;
  controllers_.after_load_ioapic();
  return {};
}

Result<> SoftwareChips::set_pic(unsigned which, const PicState& state) {
  controllers_.pic_state(which) = state;
  controllers_.after_load_pic();
  return {};
}

Result<> SoftwareChips::set_pit(const PitState& state) {
  if (!pit_) return {};
  pit_->state() = state;
  pit_->after_load();
  return {};
}

void SoftwareChips::attach(PortMap& ports, MmioMap& memory) {
  memory.add(IoapicState::base_address, ioapic_page_size, *this);
  if (has_pic_) {
    ports.add(InterruptControllers::master_port, 2, controllers_.master_ports());
    ports.add(InterruptControllers::slave_port, 2, controllers_.slave_ports());
    ports.add(InterruptControllers::elcr_port, 2, controllers_.elcr_ports());
  }
  if (pit_) ports.add(Pit::first_port, Pit::port_count, *pit_);
}

void SoftwareChips::read(std::uint64_t offset, std::span<std::byte> into) {
  const std::uint32_t value = controllers_.read_ioapic(static_cast<unsigned>(offset));
  std::ranges::fill(into, std::byte{0});
  std::memcpy(into.data(), &value, std::min(into.size(), sizeof value));
}

void SoftwareChips::write(std::uint64_t offset, std::span<const std::byte> from) {
  std::uint32_t value = 0;
  std::memcpy(&value, from.data(), std::min(from.size(), sizeof value));
  controllers_.write_ioapic(static_cast<unsigned>(offset), value);
}

}  // namespace godwit::vm

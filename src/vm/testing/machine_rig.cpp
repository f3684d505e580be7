#include "vm/testing/machine_rig.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <unistd.h>
#include <utility>

#include "vm/accel/choose.h"

namespace godwit::vm::testing {

bool has_kvm() {
  return ::access("/dev/kvm", R_OK | W_OK) == 0;
}

bool has_unicorn() {
  const auto chosen = choose_accelerator({{.name = "tcg"}}, "", MachineKind::pc);
  return chosen.has_value();
}

MachineRig::MachineRig(const std::string& accelerator, std::span<const std::byte> sector,
                       const std::function<void(MachineConfig&)>& adjust)
    : disk_(sector) {
  MachineConfig config;
  config.machine_name = "pc-godwit-1.0";
  config.accelerators = {{.name = accelerator}};
  config.memory.emplace().size = 32 << 20;
  config.first_disk = disk_.path();
  config.serial_line.transmit = [this](std::uint8_t byte) {
    const std::lock_guard lock(mutex_);
    serial_.push_back(static_cast<char>(byte));
    changed_.notify_all();
  };
  if (adjust) adjust(config);
  auto machine = Machine::create(std::move(config), *this);
  EXPECT_TRUE(machine) << machine.error().what();
  if (machine) machine_ = std::move(*machine);
}

MachineRig::~MachineRig() {
  if (machine_) machine_->shut_down();
}

std::string MachineRig::serial() {
  const std::lock_guard lock(mutex_);
  return serial_;
}

std::vector<std::string> MachineRig::events() {
  const std::lock_guard lock(mutex_);
  return events_;
}

void MachineRig::record(std::string event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void MachineRig::wait_for_serial(const std::string& text) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return serial_.find(text) != std::string::npos; });
}

void MachineRig::wait_for_events(const std::string& start, long count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return std::ranges::count_if(events_,
                                 [&](const std::string& event) { return event.starts_with(start); }) >= count;
  });
}

void MachineRig::wait_for_bytes(std::size_t count) {
  std::unique_lock lock(mutex_);
  const std::size_t goal = serial_.size() + count;
  changed_.wait(lock, [&] { return serial_.size() >= goal; });
}

bool MachineRig::wait_until(const std::function<bool()>& condition) {
  constexpr int many = 300;
  for (int i = 0; i < many; ++i) {
    if (condition()) return true;
    wait_for_bytes(1);
  }
  return condition();
}

bool MachineRig::wait_until_ready() {
  return wait_until([this] { return witness_records(*machine_).pass > 1; });
}

void move_guest(Machine& from, Machine& to) {
  ASSERT_EQ(from.ram_blocks().size(), to.ram_blocks().size());
  for (std::size_t i = 0; i < from.ram_blocks().size(); ++i) {
    const RamBlock& source = from.ram_blocks()[i];
    const RamBlock& target = to.ram_blocks()[i];
    ASSERT_EQ(source.name, target.name);
    ASSERT_EQ(source.size, target.size);
    std::memcpy(target.host, source.host, source.size);
  }
  const auto targets = to.device_sections();
  ASSERT_EQ(from.device_sections().size(), targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    DeviceSection& source = *from.device_sections()[i];
    DeviceSection& target = *targets[i];
    ASSERT_EQ(source.identity().name, target.identity().name);
    ASSERT_EQ(source.identity().instance, target.identity().instance);
    Output out;
    std::string description;
    const auto saved = source.save(out, description);
    ASSERT_TRUE(saved) << source.identity().name << ": " << saved.error().what();
    SpanInput in(out.data());
    const auto loaded = target.load(in, source.identity().version);
    ASSERT_TRUE(loaded) << target.identity().name << ": " << loaded.error().what();
    ASSERT_TRUE(*in.at_end()) << target.identity().name;
  }
}

}  // namespace godwit::vm::testing

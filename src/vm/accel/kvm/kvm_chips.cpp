#include "vm/accel/kvm/kvm_chips.h"

#include <cerrno>
#include <ctime>

#include "base/log.h"
#include "vm/accel/kvm/kvm_calls.h"
#include "vm/accel/kvm/kvm_chip_state.h"

namespace godwit::vm {
namespace {

constexpr unsigned pic_lines = 8;
constexpr unsigned isa_lines = 16;

template <typename T>
Result<> vcpu_call(int fd, unsigned long request, T& argument, const char* what) {
  if (::ioctl(fd, request, &argument) < 0) return system_error(std::string("KVM: cannot ") + what, errno);
  return {};
}

/// The clock that the kernel's timers count on.
std::int64_t kernel_now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

/// struct kvm_irq_routing with its entries.
struct Routing {
  std::uint32_t count = 0;
  std::uint32_t flags = 0;
  kvm_irq_routing_entry entries[isa_lines + IoapicState::pin_count] = {};

  void add(unsigned gsi, unsigned chip, unsigned pin) {
    kvm_irq_routing_entry& entry = entries[count++];
    entry.gsi = gsi;
    entry.type = KVM_IRQ_ROUTING_IRQCHIP;
    entry.u.irqchip.irqchip = chip;
    entry.u.irqchip.pin = pin;
  }
};
struct RoutingHeader {
  std::uint32_t count, flags;
};
// The kernel's header ends in a flexible array, which has a size in C++.
constexpr unsigned long set_gsi_routing = _IOW(KVMIO, 0x6a, RoutingHeader);

}  // namespace

Result<std::unique_ptr<KvmChips>> KvmChips::create(const UniqueFd& vm, std::vector<int> vcpus,
                                                   const ChipOptions& options) {
  std::unique_ptr<KvmChips> self(new KvmChips(vm, std::move(vcpus), options));
  GODWIT_TRY(self->route_lines(options.pic));
  if (options.pit) {
    kvm_pit_config config{};
    GODWIT_TRY(kvm_call(vm, KVM_CREATE_PIT2, &config, "create the interval timer"));
  }
  kvm_clock_data clock{};
  if (::ioctl(vm.get(), KVM_GET_CLOCK, &clock) == 0) self->clock_.emplace();
  return self;
}

Result<> KvmChips::route_lines(bool has_pic) {
  Routing routing;
  for (unsigned gsi = 0; gsi < IoapicState::pin_count; ++gsi) {
    if (has_pic && gsi < isa_lines)
      routing.add(gsi, gsi < pic_lines ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % pic_lines);
    routing.add(gsi, KVM_IRQCHIP_IOAPIC, gsi);
  }
  GODWIT_TRY(kvm_call(vm_, set_gsi_routing, &routing, "connect the interrupt lines"));
  return {};
}

void KvmChips::set_line(unsigned gsi, bool level) {
  kvm_irq_level line{};
  line.irq = gsi;
  line.level = level;
  if (::ioctl(vm_.get(), KVM_IRQ_LINE, &line) < 0)
    log::error("{}",
               system_error("KVM: cannot set interrupt line " + std::to_string(gsi), errno).error().what());
}

Result<ApicState> KvmChips::apic(unsigned cpu) {
  kvm_lapic_state registers{};
  kvm_sregs sregs{};
  GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_GET_LAPIC, registers, "read a local APIC"));
  GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_GET_SREGS, sregs, "read a local APIC's address"));
  const Timer& timer = timers_[cpu];
  if (timer.loaded) {
    set_kvm_current_count(registers, apic_current_count(*timer.loaded, now()));
  } else if (timer.count_at_stop) {
    set_kvm_current_count(registers, *timer.count_at_stop);
  }
  return from_kvm(registers, sregs.apic_base, now());
}

Result<> KvmChips::set_apic(unsigned cpu, const ApicState& state) {
  // The address first: it says how the registers are to be read. Mostly it is the one that is there, and to
  // set it would take long. (The registers bring the task priority, which is CR8 too.)
  kvm_sregs sregs{};
  GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_GET_SREGS, sregs, "read a local APIC's address"));
  if (sregs.apic_base != state.base) {
    sregs.apic_base = state.base;
    GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_SET_SREGS, sregs, "set a local APIC's address"));
  }
  kvm_lapic_state registers{};
  GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_GET_LAPIC, registers, "read a local APIC"));
  to_kvm(state, now(), registers);
  GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_SET_LAPIC, registers, "set a local APIC"));
  timers_[cpu].loaded = state;
  return {};
}

Result<IoapicState> KvmChips::ioapic() {
  kvm_irqchip chip{};
  chip.chip_id = KVM_IRQCHIP_IOAPIC;
  GODWIT_TRY(kvm_call(vm_, KVM_GET_IRQCHIP, &chip, "read the I/O APIC"));
  return from_kvm(chip.chip.ioapic);
}

Result<> KvmChips::set_ioapic(const IoapicState& state) {
  kvm_irqchip chip{};
  chip.chip_id = KVM_IRQCHIP_IOAPIC;
  chip.chip.ioapic = to_kvm(state);
  GODWIT_TRY(kvm_call(vm_, KVM_SET_IRQCHIP, &chip, "set the I/O APIC"));
  return {};
}

Result<PicState> KvmChips::pic(unsigned which) {
  kvm_irqchip chip{};
  chip.chip_id = which == PicState::master ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
  GODWIT_TRY(kvm_call(vm_, KVM_GET_IRQCHIP, &chip, "read an i8259"));
  return from_kvm(chip.chip.pic);
}

Result<> KvmChips::set_pic(unsigned which, const PicState& state) {
  kvm_irqchip chip{};
  chip.chip_id = which == PicState::master ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
  chip.chip.pic = to_kvm(state, which);
  GODWIT_TRY(kvm_call(vm_, KVM_SET_IRQCHIP, &chip, "set an i8259"));
  return {};
}

Result<PitState> KvmChips::pit() {
  kvm_pit_state2 state{};
  GODWIT_TRY(kvm_call(vm_, KVM_GET_PIT2, &state, "read the interval timer"));
  return from_kvm(state, kernel_now(), now());
}

/// The kernel begins a whole period, whatever the time of loading is.
Result<> KvmChips::set_pit(const PitState& state) {
  kvm_pit_state2 kernel = to_kvm(state, kernel_now(), now());
  GODWIT_TRY(kvm_call(vm_, KVM_SET_PIT2, &kernel, "set the interval timer"));
  return {};
}

void KvmChips::set_clock(const KvmclockState& state) {
  clock_ = state;
  clock_is_set_ = true;
}

Result<> KvmChips::stopped() {
  for (std::size_t cpu = 0; cpu < vcpus_.size(); ++cpu) {
    kvm_lapic_state registers{};
    GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_GET_LAPIC, registers, "read a local APIC"));
    timers_[cpu].count_at_stop = kvm_current_count(registers);
  }
  if (!clock_) return {};
  kvm_clock_data clock{};
  GODWIT_TRY(kvm_call(vm_, KVM_GET_CLOCK, &clock, "read the guest's clock"));
  clock_ = KvmclockState{.clock_ns = clock.clock, .reliable = (clock.flags & KVM_CLOCK_TSC_STABLE) != 0};
  clock_is_set_ = true;
  return {};
}

Result<> KvmChips::starting() {
  for (std::size_t cpu = 0; cpu < vcpus_.size(); ++cpu) {
    Timer& timer = timers_[cpu];
    timer.count_at_stop.reset();
    if (!timer.loaded) continue;
    // The kernel's timer has run since the state was loaded, the guest's clock has not.
    kvm_lapic_state registers{};
    GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_GET_LAPIC, registers, "read a local APIC"));
    set_kvm_current_count(registers, apic_current_count(*timer.loaded, now()));
    GODWIT_TRY(vcpu_call(vcpus_[cpu], KVM_SET_LAPIC, registers, "start a local APIC's timer"));
    timer.loaded.reset();
  }
  if (!clock_is_set_) return {};
  clock_is_set_ = false;
  kvm_clock_data clock{};
  clock.clock = clock_->clock_ns;
  GODWIT_TRY(kvm_call(vm_, KVM_SET_CLOCK, &clock, "set the guest's clock"));
  // So that the guest's watchdogs do not take the stop for a hang. Refused if the guest does not use the
  // clock.
  for (const int vcpu : vcpus_) ::ioctl(vcpu, KVM_KVMCLOCK_CTRL, 0ul);
  return {};
}

}  // namespace godwit::vm

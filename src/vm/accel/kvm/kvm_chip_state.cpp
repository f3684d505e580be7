#include "vm/accel/kvm/kvm_chip_state.h"

#include <algorithm>
#include <cstring>

namespace godwit::vm {
namespace {

/// Offsets into the page of registers; each register has 16 bytes.
namespace reg {
constexpr unsigned stride = 0x10;
constexpr unsigned id = 0x20, task_priority = 0x80, arbitration = 0x90, logical_destination = 0xd0,
                   destination_format = 0xe0, spurious = 0xf0, in_service = 0x100, level_triggered = 0x180,
                   requested = 0x200, error_status = 0x280, command_low = 0x300, command_high = 0x310,
                   lvt_timer = 0x320, initial_count = 0x380, current_count = 0x390, divide = 0x3e0;
}  // namespace reg

/// Where the vectors of ApicState::Lvt are, in its order.
constexpr unsigned lvt_registers[ApicState::lvt_count] = {0x320, 0x330, 0x340, 0x350, 0x360, 0x370};

constexpr unsigned lvt_mode_shift = 17;
constexpr std::uint32_t mode_one_shot = 0, mode_periodic = 1;
constexpr std::uint32_t format_reserved = 0x0fffffff;

std::uint32_t read(const kvm_lapic_state& registers, unsigned offset) {
  std::uint32_t value;
  std::memcpy(&value, registers.regs + offset, sizeof value);
  return value;
}
void write(kvm_lapic_state& registers, unsigned offset, std::uint32_t value) {
  std::memcpy(registers.regs + offset, &value, sizeof value);
}

std::uint32_t timer_mode(const ApicState& state) {
  return state.lvt[ApicState::timer] >> lvt_mode_shift & 3;
}
bool timer_masked(const ApicState& state) {
  return (state.lvt[ApicState::timer] & ApicState::lvt_masked) != 0;
}

/// The times that a translator wants to know, from the count that is left.
void set_timer_times(ApicState& state, std::uint32_t current, std::int64_t now) {
  const std::int64_t period = apic_period_ns(state);
  state.timer_expiry = ApicState::not_armed;
  state.initial_count_load_time = state.next_time = now;
  if (state.initial_count == 0) return;
  const std::uint32_t mode = timer_mode(state);
  if (mode == mode_one_shot && current == 0) {
    state.initial_count_load_time = now - period;  // over
    state.next_time = now;
    return;
  }
  if (mode != mode_one_shot && mode != mode_periodic) return;
  const std::uint32_t left = current == 0 ? state.initial_count : std::min(current, state.initial_count);
  state.next_time = now + (std::int64_t{left} << state.count_shift);
  state.initial_count_load_time = state.next_time - period;
  if (!timer_masked(state)) state.timer_expiry = state.next_time;
}

void read_bits(const kvm_lapic_state& from, unsigned offset, ApicState::Bits& to) {
  for (unsigned i = 0; i < to.size(); ++i) to[i] = read(from, offset + i * reg::stride);
}
void write_bits(const ApicState::Bits& from, unsigned offset, kvm_lapic_state& to) {
  for (unsigned i = 0; i < from.size(); ++i) write(to, offset + i * reg::stride, from[i]);
}

}  // namespace

std::uint32_t kvm_current_count(const kvm_lapic_state& registers) {
  return read(registers, reg::current_count);
}
void set_kvm_current_count(kvm_lapic_state& registers, std::uint32_t count) {
  write(registers, reg::current_count, count);
}

ApicState from_kvm(const kvm_lapic_state& from, std::uint64_t base, std::int64_t now) {
  ApicState to;
  to.base = static_cast<std::uint32_t>(base);
  const std::uint32_t id = read(from, reg::id);
  to.id = static_cast<std::uint8_t>(base & ApicState::base_x2apic ? id : id >> 24);
  to.arbitration_id = static_cast<std::uint8_t>(read(from, reg::arbitration));
  to.task_priority = static_cast<std::uint8_t>(read(from, reg::task_priority));
  to.spurious_vector = read(from, reg::spurious);
  to.logical_destination = static_cast<std::uint8_t>(read(from, reg::logical_destination) >> 24);
  to.destination_format = static_cast<std::uint8_t>(read(from, reg::destination_format) >> 28);
  read_bits(from, reg::in_service, to.in_service);
  read_bits(from, reg::level_triggered, to.level_triggered);
  read_bits(from, reg::requested, to.requested);
  for (unsigned i = 0; i < ApicState::lvt_count; ++i) to.lvt[i] = read(from, lvt_registers[i]);
  to.error_status = read(from, reg::error_status);
  to.interrupt_command = {read(from, reg::command_low), read(from, reg::command_high)};
  to.divide_configuration = read(from, reg::divide) & 0xf;
  to.count_shift = apic_count_shift(to.divide_configuration);
  to.initial_count = read(from, reg::initial_count);
  set_timer_times(to, kvm_current_count(from), now);
  return to;
}

void to_kvm(const ApicState& from, std::int64_t now, kvm_lapic_state& to) {
  write(to, reg::id,
        from.base & ApicState::base_x2apic ? std::uint32_t{from.id} : std::uint32_t{from.id} << 24);
  write(to, reg::arbitration, from.arbitration_id);
  write(to, reg::task_priority, from.task_priority);
  write(to, reg::spurious, from.spurious_vector);
  write(to, reg::logical_destination, std::uint32_t{from.logical_destination} << 24);
  write(to, reg::destination_format, std::uint32_t{from.destination_format} << 28 | format_reserved);
  write_bits(from.in_service, reg::in_service, to);
  write_bits(from.level_triggered, reg::level_triggered, to);
  write_bits(from.requested, reg::requested, to);
  for (unsigned i = 0; i < ApicState::lvt_count; ++i) write(to, lvt_registers[i], from.lvt[i]);
  write(to, reg::error_status, from.error_status);
  write(to, reg::command_low, from.interrupt_command[0]);
  write(to, reg::command_high, from.interrupt_command[1]);
  write(to, reg::divide, from.divide_configuration);
  write(to, reg::initial_count, from.initial_count);
  set_kvm_current_count(to, apic_current_count(from, now));
}

std::uint32_t apic_current_count(const ApicState& state, std::int64_t now) {
  if (state.initial_count == 0) return 0;
  const std::uint32_t mode = timer_mode(state);
  if (mode != mode_one_shot && mode != mode_periodic) return 0;
  if (state.timer_expiry != ApicState::not_armed) {
    // One that is overdue is due at once, not a period later.
    const std::int64_t left = state.timer_expiry > now ? (state.timer_expiry - now) >> state.count_shift : 0;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, state.initial_count));
  }
  // Masked, or over: counting goes on since the count was loaded.
  const std::int64_t since = now > state.initial_count_load_time ? now - state.initial_count_load_time : 0;
  const std::int64_t elapsed = since >> state.count_shift;
  if (mode == mode_one_shot && elapsed >= state.initial_count) return 0;
  const std::int64_t in_period = elapsed % (std::int64_t{state.initial_count} + 1);
  return static_cast<std::uint32_t>(state.initial_count - in_period);
}

IoapicState from_kvm(const kvm_ioapic_state& from) {
  IoapicState to;
  to.id = static_cast<std::uint8_t>(from.id & 0xf);
  to.register_select = static_cast<std::uint8_t>(from.ioregsel);
  to.requested = from.irr & ((1u << IoapicState::pin_count) - 1);
  for (unsigned pin = 0; pin < IoapicState::pin_count; ++pin) to.redirection[pin] = from.redirtbl[pin].bits;
  return to;
}

kvm_ioapic_state to_kvm(const IoapicState& from) {
  kvm_ioapic_state to{};
  to.base_address = IoapicState::base_address;
  to.id = from.id;
  to.ioregsel = from.register_select;
  to.irr = from.requested;
  for (unsigned pin = 0; pin < IoapicState::pin_count; ++pin) to.redirtbl[pin].bits = from.redirection[pin];
  return to;
}

PicState from_kvm(const kvm_pic_state& from) {
  PicState to;
  to.last_requested = from.last_irr;
  to.requested = from.irr;
  to.mask = from.imr;
  to.in_service = from.isr;
  to.priority_add = from.priority_add & 7;
  to.vector_base = from.irq_base & 0xf8;
  to.read_in_service = from.read_reg_select != 0;
  to.poll = from.poll != 0;
  to.special_mask = from.special_mask != 0;
  to.init_state = from.init_state & 3;
  to.auto_end = from.auto_eoi != 0;
  to.rotate_on_auto_end = from.rotate_on_auto_eoi != 0;
  to.special_fully_nested = from.special_fully_nested_mode != 0;
  to.init_word_4 = from.init4 != 0;
  to.level_triggered = from.elcr;
  return to;
}

kvm_pic_state to_kvm(const PicState& from, unsigned which) {
  kvm_pic_state to{};
  to.last_irr = from.last_requested;
  to.irr = from.requested;
  to.imr = from.mask;
  to.isr = from.in_service;
  to.priority_add = from.priority_add;
  to.irq_base = from.vector_base;
  to.read_reg_select = from.read_in_service;
  to.poll = from.poll;
  to.special_mask = from.special_mask;
  to.init_state = from.init_state;
  to.auto_eoi = from.auto_end;
  to.rotate_on_auto_eoi = from.rotate_on_auto_end;
  to.special_fully_nested_mode = from.special_fully_nested;
  to.init4 = from.init_word_4;
  to.elcr_mask = which == PicState::master ? PicState::master_elcr_mask : PicState::slave_elcr_mask;
  to.elcr = from.level_triggered & to.elcr_mask;
  return to;
}

PitState from_kvm(const kvm_pit_state2& from, std::int64_t kernel_now, std::int64_t now) {
  PitState to;
  to.interrupt_disabled = (from.flags & KVM_PIT_FLAGS_HPET_LEGACY) != 0;
  for (unsigned i = 0; i < to.channels.size(); ++i) {
    const kvm_pit_channel_state& kernel = from.channels[i];
    PitChannel& channel = to.channels[i];
    channel.count = static_cast<std::int32_t>(kernel.count == 0 ? 65536 : std::min(kernel.count, 65536u));
    channel.latched_count = kernel.latched_count;
    channel.count_latched = kernel.count_latched;
    channel.status_latched = kernel.status_latched;
    channel.status = kernel.status;
    channel.read_state = kernel.read_state;
    channel.write_state = kernel.write_state;
    channel.write_latch = kernel.write_latch;
    channel.rw_mode = kernel.rw_mode;
    channel.mode = kernel.mode & 7;
    channel.bcd = kernel.bcd;
    channel.gate = kernel.gate;
    channel.count_load_time = kernel.count_load_time - kernel_now + now;
    channel.next_transition_time = 0;  // only channel 0's output does something
  }
  to.channels[0].next_transition_time = pit_next_transition(to.channels[0], now);
  return to;
}

kvm_pit_state2 to_kvm(const PitState& from, std::int64_t kernel_now, std::int64_t now) {
  kvm_pit_state2 to{};
  if (from.interrupt_disabled) to.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
  for (unsigned i = 0; i < from.channels.size(); ++i) {
    const PitChannel& channel = from.channels[i];
    kvm_pit_channel_state& kernel = to.channels[i];
    kernel.count = static_cast<std::uint32_t>(channel.count);
    kernel.latched_count = channel.latched_count;
    kernel.count_latched = channel.count_latched;
    kernel.status_latched = channel.status_latched;
    kernel.status = channel.status;
    kernel.read_state = channel.read_state;
    kernel.write_state = channel.write_state;
    kernel.write_latch = channel.write_latch;
    kernel.rw_mode = channel.rw_mode;
    kernel.mode = channel.mode;
    kernel.bcd = channel.bcd;
    kernel.gate = channel.gate;
    kernel.count_load_time = channel.count_load_time - now + kernel_now;
  }
  return to;
}

}  // namespace godwit::vm

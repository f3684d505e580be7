#include "vm/devices/local_apic.h"

#include <bit>

namespace godwit::vm {
namespace {

namespace reg {
constexpr unsigned id = 0x20, version = 0x30, task_priority = 0x80, arbitration_priority = 0x90,
                   processor_priority = 0xa0, end_of_interrupt = 0xb0, logical_destination = 0xd0,
                   destination_format = 0xe0, spurious = 0xf0, in_service = 0x100, level_triggered = 0x180,
                   requested = 0x200, error_status = 0x280, command_low = 0x300, command_high = 0x310,
                   lvt = 0x320, initial_count = 0x380, current_count = 0x390, divide = 0x3e0;
}  // namespace reg

constexpr std::uint32_t version_register = 0x14 | (ApicState::lvt_count - 1) << 16;
constexpr std::uint32_t software_enable = 1u << 8;
constexpr std::uint32_t command_writable = 0xccfff, command_logical = 1u << 11, command_assert = 1u << 14,
                        command_level = 1u << 15;
constexpr std::uint32_t error_send_vector = 1u << 5, error_receive_vector = 1u << 6, error_register = 1u << 7;
constexpr std::uint8_t flat_format = 0xf;
constexpr std::uint8_t broadcast = 0xff;

std::uint32_t lvt_writable(unsigned entry) {
  constexpr std::uint32_t common = 0x100ff;
  switch (entry) {
    case ApicState::timer:
      return common | 0x20000;  // periodic
    case ApicState::lint0:
    case ApicState::lint1:
      return common | 0xa700;  // delivery mode, polarity, trigger mode
    case ApicState::error:
      return common;
    default:
      return common | 0x700;
  }
}

bool test(const ApicState::Bits& bits, std::uint8_t vector) {
  return (bits[vector / 32] >> (vector % 32) & 1) != 0;
}

void set(ApicState::Bits& bits, std::uint8_t vector, bool value) {
  const std::uint32_t bit = 1u << (vector % 32);
  if (value) {
    bits[vector / 32] |= bit;
  } else {
    bits[vector / 32] &= ~bit;
  }
}

std::optional<std::uint8_t> highest(const ApicState::Bits& bits) {
  for (unsigned word = 8; word-- > 0;)
    if (bits[word])
      return static_cast<std::uint8_t>(word * 32 + 31 - static_cast<unsigned>(std::countl_zero(bits[word])));
  return std::nullopt;
}

}  // namespace

bool LocalApic::is_enabled() const {
  return (state_.base & ApicState::base_enabled) != 0;
}

bool LocalApic::is_software_enabled() const {
  return is_enabled() && (state_.spurious_vector & software_enable);
}

std::uint8_t LocalApic::processor_priority() const {
  const std::uint8_t serving = highest(state_.in_service).value_or(0);
  return state_.task_priority >> 4 >= serving >> 4 ? state_.task_priority
                                                   : static_cast<std::uint8_t>(serving & 0xf0);
}

// ---- registers

std::uint32_t LocalApic::read(unsigned offset) {
  const unsigned word = offset >> 4 & 7;
  switch (offset) {
    case reg::id:
      return std::uint32_t{state_.id} << 24;
    case reg::version:
      return version_register;
    case reg::task_priority:
      return state_.task_priority;
    case reg::arbitration_priority:
    case reg::processor_priority:
      return processor_priority();
    case reg::logical_destination:
      return std::uint32_t{state_.logical_destination} << 24;
    case reg::destination_format:
      return std::uint32_t{state_.destination_format} << 28 | 0x0fffffff;
    case reg::spurious:
      return state_.spurious_vector;
    case reg::error_status:
      return state_.error_status;
    case reg::command_low:
      return state_.interrupt_command[0];
    case reg::command_high:
      return state_.interrupt_command[1];
    case reg::initial_count:
      return state_.initial_count;
    case reg::current_count:
      return current_count();
    case reg::divide:
      return state_.divide_configuration;
    default:
      break;
  }
  if (offset >= reg::in_service && offset < reg::level_triggered) return state_.in_service[word];
  if (offset >= reg::level_triggered && offset < reg::requested) return state_.level_triggered[word];
  if (offset >= reg::requested && offset < reg::error_status) return state_.requested[word];
  if (offset >= reg::lvt && offset < reg::initial_count) return state_.lvt[(offset - reg::lvt) >> 4];
  report_error(error_register);
  return 0;
}

void LocalApic::write(unsigned offset, std::uint32_t value) {
  switch (offset) {
    case reg::id:
      state_.id = static_cast<std::uint8_t>(value >> 24);
      return;
    case reg::task_priority:
      state_.task_priority = static_cast<std::uint8_t>(value);
      return;
    case reg::end_of_interrupt:
      return end_of_interrupt();
    case reg::logical_destination:
      state_.logical_destination = static_cast<std::uint8_t>(value >> 24);
      return;
    case reg::destination_format:
      state_.destination_format = static_cast<std::uint8_t>(value >> 28);
      return;
    case reg::spurious:
      state_.spurious_vector = value & 0x1ff;
      if (!(value & software_enable))
        for (std::uint32_t& entry : state_.lvt) entry |= ApicState::lvt_masked;
      return;
    case reg::error_status:
      state_.error_status = pending_errors_;
      pending_errors_ = 0;
      return;
    case reg::command_low:
      state_.interrupt_command[0] = value & command_writable;
      return send_command();
    case reg::command_high:
      state_.interrupt_command[1] = value & 0xff000000;
      return;
    case reg::initial_count:
      return load_timer(value);
    case reg::divide:
      state_.divide_configuration = value & 0xb;
      state_.count_shift = apic_count_shift(state_.divide_configuration);
      return schedule(environment_.now_ns());
    default:
      break;
  }
  if (offset >= reg::lvt && offset < reg::initial_count) {
    const unsigned entry = (offset - reg::lvt) >> 4;
    state_.lvt[entry] = value & lvt_writable(entry);
    if (!is_software_enabled()) state_.lvt[entry] |= ApicState::lvt_masked;
    if (entry == ApicState::timer) schedule(environment_.now_ns());
    return;
  }
  const bool read_only = offset == reg::version || offset == reg::arbitration_priority ||
                         offset == reg::processor_priority || offset == reg::current_count ||
                         (offset >= reg::in_service && offset < reg::error_status);
  if (!read_only) report_error(error_register);
}

void LocalApic::report_error(std::uint32_t bit) {
  if (pending_errors_ & bit) return;
  pending_errors_ |= bit;
  const std::uint32_t entry = state_.lvt[ApicState::error];
  // An unusable vector there is not reported for a second time: the bit is set by now.
  if (!(entry & ApicState::lvt_masked)) raise(static_cast<std::uint8_t>(entry), false);
}

// ---- interrupts

bool LocalApic::is_addressed_by(const InterruptMessage& message) const {
  if (!is_enabled()) return false;
  if (message.destination == broadcast) return true;
  if (!message.logical) return message.destination == state_.id;
  if (state_.destination_format == flat_format)
    return (message.destination & state_.logical_destination) != 0;
  return message.destination >> 4 == state_.logical_destination >> 4 &&
         (message.destination & state_.logical_destination & 0xf) != 0;
}

void LocalApic::accept(const InterruptMessage& message) {
  switch (message.mode) {
    case DeliveryMode::fixed:
    case DeliveryMode::lowest_priority:
      return raise(message.vector, message.level_triggered);
    case DeliveryMode::nmi:
      nmi_pending = true;
      return;
    case DeliveryMode::init:
      init_pending = true;
      start_vector.reset();
      return;
    case DeliveryMode::start_up:
      if (state_.wait_for_sipi || init_pending) start_vector = message.vector;
      return;
    default:
      return;  // there is no system management mode, and external interrupts come through LINT0
  }
}

void LocalApic::raise(std::uint8_t vector, bool level_triggered) {
  if (!is_software_enabled()) return;
  if (vector < 16) return report_error(error_receive_vector);
  set(state_.requested, vector, true);
  set(state_.level_triggered, vector, level_triggered);
}

std::optional<std::uint8_t> LocalApic::deliverable() const {
  if (!is_software_enabled()) return std::nullopt;
  const auto vector = highest(state_.requested);
  return vector && *vector >> 4 > processor_priority() >> 4 ? vector : std::nullopt;
}

std::uint8_t LocalApic::take() {
  const auto vector = deliverable();
  if (!vector) return static_cast<std::uint8_t>(state_.spurious_vector);
  set(state_.requested, *vector, false);
  set(state_.in_service, *vector, true);
  return *vector;
}

bool LocalApic::give_back(std::uint8_t vector) {
  if (!test(state_.in_service, vector)) return false;
  set(state_.in_service, vector, false);
  set(state_.requested, vector, true);
  return true;
}

bool LocalApic::passes_external() const {
  if (!is_enabled()) return true;
  const std::uint32_t entry = state_.lvt[ApicState::lint0];
  return !(entry & ApicState::lvt_masked) && delivery_mode(entry) == DeliveryMode::external;
}

void LocalApic::end_of_interrupt() {
  const auto vector = highest(state_.in_service);
  if (!vector) return;
  set(state_.in_service, *vector, false);
  if (test(state_.level_triggered, *vector)) environment_.end_of_level_interrupt(*vector);
}

void LocalApic::send_command() {
  const std::uint32_t command = state_.interrupt_command[0];
  InterruptMessage message;
  message.vector = static_cast<std::uint8_t>(command);
  message.mode = delivery_mode(command);
  message.destination = static_cast<std::uint8_t>(state_.interrupt_command[1] >> 24);
  message.logical = (command & command_logical) != 0;
  // De-assertion of INIT only arbitrates ids, which no bus here needs.
  if (message.mode == DeliveryMode::init && (command & command_level) && !(command & command_assert)) return;
  const bool has_vector =
      message.mode == DeliveryMode::fixed || message.mode == DeliveryMode::lowest_priority;
  if (has_vector && message.vector < 16) return report_error(error_send_vector);

  constexpr unsigned none = 0, self = 1, all = 2;
  const unsigned shorthand = command >> 18 & 3;
  if (shorthand == none) return environment_.send(message);
  if (shorthand == self) return environment_.send_to(index_, message);
  for (unsigned other = 0; other < environment_.processor_count(); ++other)
    if (shorthand == all || other != index_) environment_.send_to(other, message);
}

// ---- the timer

void LocalApic::load_timer(std::uint32_t initial_count) {
  state_.initial_count = initial_count;
  state_.initial_count_load_time = environment_.now_ns();
  schedule(state_.initial_count_load_time);
}

std::uint32_t LocalApic::current_count() {
  const std::int64_t elapsed = (environment_.now_ns() - state_.initial_count_load_time) >> state_.count_shift;
  if (elapsed < 0) return state_.initial_count;
  const auto counted = static_cast<std::uint64_t>(elapsed);
  if (state_.lvt[ApicState::timer] & ApicState::lvt_periodic)
    return static_cast<std::uint32_t>(state_.initial_count -
                                      counted % (std::uint64_t{state_.initial_count} + 1));
  return counted >= state_.initial_count ? 0 : static_cast<std::uint32_t>(state_.initial_count - counted);
}

void LocalApic::schedule(std::int64_t now) {
  state_.timer_expiry = ApicState::not_armed;
  if (state_.initial_count != 0) {
    const std::int64_t period = apic_period_ns(state_);
    const std::int64_t first = state_.initial_count_load_time + period;
    if (now < first) {
      state_.timer_expiry = first;
    } else if (state_.lvt[ApicState::timer] & ApicState::lvt_periodic) {
      state_.timer_expiry = first + (now - first) / period * period + period;
    }
    if (state_.timer_expiry != ApicState::not_armed) state_.next_time = state_.timer_expiry;
  }
  environment_.arm(index_, state_.timer_expiry);
}

void LocalApic::on_timer() {
  const std::int64_t now = environment_.now_ns();
  if (state_.timer_expiry == ApicState::not_armed || now < state_.timer_expiry) return;
  const std::uint32_t entry = state_.lvt[ApicState::timer];
  if (!(entry & ApicState::lvt_masked)) raise(static_cast<std::uint8_t>(entry), false);
  schedule(now);
}

// ---- as a whole

void LocalApic::after_load() {
  init_pending = nmi_pending = false;
  start_vector.reset();
  pending_errors_ = 0;
  state_.count_shift = apic_count_shift(state_.divide_configuration);
  // Nobody has loaded a count in the future, or before time began.
  const std::int64_t now = environment_.now_ns();
  if (state_.initial_count_load_time < 0 || state_.initial_count_load_time > now)
    state_.initial_count_load_time = now;
  environment_.arm(index_, state_.timer_expiry);
}

void LocalApic::reset() {
  state_ = reset_apic(index_);
  after_load();
}

void LocalApic::init() {
  const ApicState before = state_;
  state_ = reset_apic(index_);
  state_.base = before.base;
  state_.id = before.id;
  state_.wait_for_sipi = (before.base & ApicState::base_first_processor) == 0;
  init_pending = nmi_pending = false;
  pending_errors_ = 0;
  environment_.arm(index_, ApicState::not_armed);
}

}  // namespace godwit::vm

#include "vm/devices/serial.h"

#include <utility>

namespace godwit::vm {
namespace {

enum Offset : unsigned {
  data,
  interrupt_enable,
  identification,
  line_control,
  modem_control,
  line_status,
  modem_status,
  scratch
};

namespace ier {
constexpr std::uint8_t received = 1, thr_empty = 2, line = 4, modem = 8, mask = 0xf;
}
namespace iir {
constexpr std::uint8_t none = 0x01, modem = 0x00, thr_empty = 0x02, received = 0x04, line = 0x06,
                       timeout = 0x0c;
constexpr std::uint8_t id_mask = 0x0f, fifo = 0xc0;
}  // namespace iir
namespace fcr {
constexpr std::uint8_t enable = 1, clear_receive = 2, clear_transmit = 4, kept = 0xc9;
}
namespace lcr {
constexpr std::uint8_t divisor_latch = 0x80;
}
namespace mcr {
constexpr std::uint8_t loop = 0x10, mask = 0x1f;
}
namespace lsr {
constexpr std::uint8_t data_ready = 0x01, overrun = 0x02, error_bits = 0x1e, thr_empty = 0x20, idle = 0x40;
}
namespace msr {
constexpr std::uint8_t delta_bits = 0x0f;
}

constexpr std::size_t most_waiting = 64 * 1024;

/// The modem lines as a looped-back UART sees them: RTS as CTS, DTR as DSR, OUT1 as RI, OUT2 as DCD.
std::uint8_t looped_lines(std::uint8_t control) {
  return static_cast<std::uint8_t>((control & 0x0c) << 4 | (control & 0x02) << 3 | (control & 0x01) << 5);
}

}  // namespace

Serial::Serial(SerialLine line, std::function<void(bool)> interrupt)
    : line_(std::move(line)), interrupt_(std::move(interrupt)) {}

bool Serial::fifo_enabled() const {
  return (state_.fifo_control & fcr::enable) != 0;
}
bool Serial::has_data() const {
  return (state_.line_status & lsr::data_ready) != 0;
}
bool Serial::loops_back() const {
  return (state_.modem_control & mcr::loop) != 0;
}
bool Serial::divisor_latch() const {
  return (state_.line_control & lcr::divisor_latch) != 0;
}

std::uint8_t Serial::read(unsigned offset) {
  const std::lock_guard lock(mutex_);
  return read_locked(offset);
}

void Serial::write(unsigned offset, std::uint8_t value) {
  std::optional<std::uint8_t> sent;
  {
    const std::lock_guard lock(mutex_);
    sent = write_locked(offset, value);
  }
  if (sent) send(*sent);
}

void Serial::send(std::uint8_t value) {
  if (line_.transmit) line_.transmit(value);  // without the lock: it may take its time
  const std::lock_guard lock(mutex_);
  awaits_room_ = !has_room();
  state_.thr_interrupt_pending = !awaits_room_;
  update_interrupt();
}

void Serial::line_ready() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(awaits_room_, false)) return;
  state_.thr_interrupt_pending = 1;
  update_interrupt();
}

std::uint8_t Serial::read_locked(unsigned offset) {
  switch (offset) {
    case data:
      return divisor_latch() ? static_cast<std::uint8_t>(state_.divider) : read_data();
    case interrupt_enable:
      return divisor_latch() ? static_cast<std::uint8_t>(state_.divider >> 8) : state_.interrupt_enable;
    case identification: {
      const std::uint8_t value = state_.interrupt_identification;
      if ((value & iir::id_mask) == iir::thr_empty) {
        state_.thr_interrupt_pending = 0;
        update_interrupt();
      }
      return value;
    }
    case line_control:
      return state_.line_control;
    case modem_control:
      return state_.modem_control;
    case line_status: {
      const std::uint8_t value = state_.line_status;
      state_.line_status &= static_cast<std::uint8_t>(~lsr::error_bits);
      update_interrupt();
      constexpr std::uint8_t transmitter = lsr::thr_empty | lsr::idle;
      return has_room() ? value : static_cast<std::uint8_t>(value & ~transmitter);
    }
    case modem_status: {
      if (loops_back()) return looped_lines(state_.modem_control);
      const std::uint8_t value = state_.modem_status;
      state_.modem_status &= static_cast<std::uint8_t>(~msr::delta_bits);
      update_interrupt();
      return value;
    }
    default:
      return state_.scratch;
  }
}

std::optional<std::uint8_t> Serial::write_locked(unsigned offset, std::uint8_t value) {
  switch (offset) {
    case data:
      if (!divisor_latch()) return write_data(value);
      state_.divider = static_cast<std::uint16_t>((state_.divider & 0xff00) | value);
      break;
    case interrupt_enable: {
      if (divisor_latch()) {
        state_.divider = static_cast<std::uint16_t>((state_.divider & 0x00ff) | value << 8);
        break;
      }
      const bool newly_on = (value & ~state_.interrupt_enable & ier::thr_empty) != 0;
      state_.interrupt_enable = value & ier::mask;
      if (newly_on) {
        awaits_room_ = !has_room();
        state_.thr_interrupt_pending = !awaits_room_;
      }
      update_interrupt();
      break;
    }
    case identification:
      write_fifo_control(value);
      break;
    case line_control:
      state_.line_control = value;
      break;
    case modem_control:
      write_modem_control(value);
      break;
    case scratch:
      state_.scratch = value;
      break;
    default:
      break;  // the status registers cannot be written
  }
  return std::nullopt;
}

std::optional<std::uint8_t> Serial::write_data(std::uint8_t value) {
  state_.transmit_holding = state_.transmit_shift = value;
  if (!loops_back()) return value;
  state_.thr_interrupt_pending = 1;
  accept(value);
  update_interrupt();
  return std::nullopt;
}

void Serial::write_fifo_control(std::uint8_t value) {
  const bool toggled = ((value ^ state_.fifo_control) & fcr::enable) != 0;
  if (toggled || (value & fcr::clear_receive)) {
    state_.receive_fifo = {};
    state_.timeout_interrupt_pending = 0;
    state_.line_status &= static_cast<std::uint8_t>(~lsr::data_ready);
  }
  if (toggled || (value & fcr::clear_transmit)) state_.transmit_fifo = {};
  state_.fifo_control = value & fcr::enable ? value & fcr::kept : 0;
  take_waiting();
  update_interrupt();
}

void Serial::write_modem_control(std::uint8_t value) {
  state_.modem_control = value & mcr::mask;
  take_waiting();
  update_interrupt();
}

std::uint8_t Serial::read_data() {
  if (fifo_enabled()) {
    if (state_.receive_fifo.count != 0) state_.receive_buffer = state_.receive_fifo.pop();
    if (state_.receive_fifo.count == 0) state_.line_status &= static_cast<std::uint8_t>(~lsr::data_ready);
  } else {
    state_.line_status &= static_cast<std::uint8_t>(~lsr::data_ready);
  }
  const std::uint8_t value = state_.receive_buffer;  // before the next byte takes its place
  take_waiting();
  update_interrupt();
  return value;
}

void Serial::accept(std::uint8_t value) {
  const bool full = fifo_enabled() ? state_.receive_fifo.is_full() : has_data();
  if (full) {
    state_.line_status |= lsr::overrun;
  } else if (fifo_enabled()) {
    state_.receive_fifo.push(value);
  } else {
    state_.receive_buffer = value;
  }
  state_.line_status |= lsr::data_ready;
}

void Serial::take_waiting() {
  if (loops_back()) return;
  while (!waiting_.empty() && (fifo_enabled() ? !state_.receive_fifo.is_full() : !has_data())) {
    accept(waiting_.front());
    waiting_.pop_front();
  }
}

void Serial::receive(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  for (const std::uint8_t byte : bytes)
    if (waiting_.size() < most_waiting) waiting_.push_back(byte);
  take_waiting();
  update_interrupt();
}

void Serial::update_interrupt() {
  constexpr std::uint8_t triggers[] = {1, 4, 8, 14};
  std::uint8_t id = iir::none;
  // Fewer bytes than the trigger level are reported as if the line had been silent since: there is no line
  // speed here.
  const bool below_trigger = fifo_enabled() && state_.receive_fifo.count < triggers[state_.fifo_control >> 6];
  state_.timeout_interrupt_pending = has_data() && below_trigger;
  if ((state_.interrupt_enable & ier::line) && (state_.line_status & lsr::error_bits)) {
    id = iir::line;
  } else if ((state_.interrupt_enable & ier::received) && has_data()) {
    id = below_trigger ? iir::timeout : iir::received;
  } else if ((state_.interrupt_enable & ier::thr_empty) && state_.thr_interrupt_pending) {
    id = iir::thr_empty;
  } else if ((state_.interrupt_enable & ier::modem) && (state_.modem_status & msr::delta_bits)) {
    id = iir::modem;
  }
  state_.interrupt_identification = static_cast<std::uint8_t>(id | (fifo_enabled() ? iir::fifo : 0));
  const bool level = id != iir::none;
  if (level != std::exchange(interrupt_level_, level) && interrupt_) interrupt_(level);
}

void Serial::reset() {
  const std::lock_guard lock(mutex_);
  state_ = {};
  awaits_room_ = false;
  update_interrupt();
}

}  // namespace godwit::vm

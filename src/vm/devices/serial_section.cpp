// The section of the UART, field by field (x86-machine-state section 4.7).
#include <utility>

#include <godwit/field_table.h>

#include "base/fail.h"
#include "vm/devices/serial.h"

namespace godwit::vm {
namespace {

constexpr std::uint8_t transmitter_idle = 0x40;
constexpr std::uint8_t thr_interrupt_enabled = 0x02;
constexpr std::uint8_t interrupt_id_mask = 0x0e;
constexpr std::uint8_t thr_interrupt_id = 0x02;

using State = SerialState;
using Fifo = State::Fifo;

bool identification_says_thr(const State& state) {
  return (state.interrupt_identification & interrupt_id_mask) == thr_interrupt_id;
}

FieldTable<Fifo> fifo_table() {
  return FieldTable<Fifo>("Fifo8")
      .buffer("data", &Fifo::data)
      .field("head", &Fifo::head, in_range(0, Fifo::capacity - 1))
      .field("num", &Fifo::count, in_range(0, Fifo::capacity));
}

FieldTable<State> state_table() {
  using Table = FieldTable<State>;
  return Table("serial", {.version = 3, .minimum_version = 2})
      .field("divider", &State::divider)
      .field("rbr", &State::receive_buffer)
      .field("ier", &State::interrupt_enable)
      .field("iir", &State::interrupt_identification)
      .field("lcr", &State::line_control)
      .field("mcr", &State::modem_control)
      .field("lsr", &State::line_status)
      .field("msr", &State::modem_status)
      .field("scr", &State::scratch)
      .field("fcr_vmstate", &State::fifo_control)
      .since(3)
      .pre_load([](State& state) {
        const State defaults;
        state = defaults;
      })
      .subsection(Table("serial/thr_ipending").field("thr_ipending", &State::thr_interrupt_pending),
                  [](const State& state) {
                    return (state.interrupt_enable & thr_interrupt_enabled) &&
                           (state.thr_interrupt_pending != 0) != identification_says_thr(state);
                  })
      .subsection(Table("serial/tsr")
                      .field("tsr_retry", &State::transmit_retries)
                      .field("thr", &State::transmit_holding)
                      .field("tsr", &State::transmit_shift),
                  [](const State& state) { return state.transmit_retries != 0; })
      .subsection(Table("serial/recv_fifo").structure("recv_fifo", &State::receive_fifo, fifo_table()),
                  [](const State& state) { return state.receive_fifo.count != 0; })
      .subsection(Table("serial/xmit_fifo").structure("xmit_fifo", &State::transmit_fifo, fifo_table()),
                  [](const State& state) { return state.transmit_fifo.count != 0; })
      .subsection(Table("serial/fifo_timeout_timer").timer("fifo_timeout_timer", &State::fifo_timeout_timer),
                  [](const State& state) { return state.fifo_timeout_timer != -1; })
      .subsection(
          Table("serial/timeout_ipending").field("timeout_ipending", &State::timeout_interrupt_pending),
          [](const State& state) { return state.timeout_interrupt_pending != 0; })
      .subsection(Table("serial/poll")
                      .field("poll_msl", &State::poll_modem_lines)
                      .timer("modem_status_poll", &State::modem_poll_timer),
                  [](const State& state) { return state.poll_modem_lines >= 0; });
}

}  // namespace

std::unique_ptr<DeviceSection> Serial::section(std::uint32_t instance) {
  static const auto table =
      FieldTable<State>("serial", {.version = 3, .minimum_version = 2})
          .structure("state", [](State& state) -> State& { return state; }, state_table());
  return make_section("serial", instance, table, state_,
                      {.before_save = [this]() -> Result<> {
                         before_save();
                         return {};
                       },
                       .after_load = [this] { return after_load(); }});
}

/// What was written stays here and leaves from here: the guest goes on with a transmitter that is ready.
void Serial::before_save() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(awaits_room_, false)) return;
  state_.thr_interrupt_pending = 1;
  update_interrupt();
}

Result<> Serial::after_load() {
  std::vector<std::uint8_t> unsent;
  {
    const std::lock_guard lock(mutex_);
    const bool idle = (state_.line_status & transmitter_idle) != 0;
    if (idle != (state_.transmit_retries == 0))
      return fail("serial: line status {:#04x} contradicts {} retries of the transmitter", state_.line_status,
                  state_.transmit_retries);
    // What the other side still had to send goes out now: here the transmitter is always empty. QEMU as the
    // source sends it too, should its line get room after the guest has gone; no receiver can know.
    if (state_.transmit_retries != 0) unsent.push_back(state_.transmit_shift);
    if (state_.transmit_retries != 0 && state_.transmit_fifo.count == 0 && !(state_.line_status & 0x20))
      unsent.push_back(state_.transmit_holding);
    while (state_.transmit_fifo.count != 0) unsent.push_back(state_.transmit_fifo.pop());
    state_.transmit_retries = 0;
    state_.line_status |= 0x60;
    if (!unsent.empty() || identification_says_thr(state_)) state_.thr_interrupt_pending = 1;
    awaits_room_ = false;
    update_interrupt();
  }
  if (line_.transmit)
    for (const std::uint8_t byte : unsent) line_.transmit(byte);
  return {};
}

}  // namespace godwit::vm

// A 16550A UART. It sends each byte the moment it is written. While the line takes no more, the guest sees a
// transmitter that is not ready; what was written has left the UART all the same.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include <godwit/device_section.h>

#include "vm/board/port_map.h"
#include "vm/machine_config.h"

namespace godwit::vm {

/// The registers and FIFOs, as the section carries them (x86-machine-state section 4.7).
struct SerialState {
  struct Fifo {
    static constexpr std::uint32_t capacity = 16;
    std::array<std::uint8_t, capacity> data{};
    std::uint32_t head = 0;
    std::uint32_t count = 0;

    bool is_full() const { return count == capacity; }
    void push(std::uint8_t value) { data[(head + count++) % capacity] = value; }
    std::uint8_t pop() {
      const std::uint8_t value = data[head];
      head = (head + 1) % capacity;
      --count;
      return value;
    }
  };

  std::uint16_t divider = 0x0c;
  std::uint8_t receive_buffer = 0;
  std::uint8_t interrupt_enable = 0;
  std::uint8_t interrupt_identification = 0x01;
  std::uint8_t line_control = 0;
  std::uint8_t modem_control = 0x08;
  std::uint8_t line_status = 0x60;
  std::uint8_t modem_status = 0xb0;
  std::uint8_t scratch = 0;
  std::uint8_t fifo_control = 0;
  std::int32_t thr_interrupt_pending = 0;
  std::uint32_t transmit_retries = 0;  ///< of the sender; never left non-zero by us
  std::uint8_t transmit_holding = 0;
  std::uint8_t transmit_shift = 0;
  Fifo receive_fifo;
  Fifo transmit_fifo;
  std::int64_t fifo_timeout_timer = -1;  ///< ns of the virtual clock, -1 not armed
  std::int32_t timeout_interrupt_pending = 0;
  std::int32_t poll_modem_lines = -1;
  std::int64_t modem_poll_timer = -1;
};

/// Thread-safe.
class Serial final : public PortDevice {
 public:
  static constexpr unsigned register_count = 8;

  /// `line` gets every byte sent, on the thread that writes it. `interrupt` gets the level of the interrupt
  /// line when it changes; it may be empty.
  explicit Serial(SerialLine line, std::function<void(bool)> interrupt = {});

  std::uint8_t read(unsigned offset) override;
  void write(unsigned offset, std::uint8_t value) override;

  /// Bytes that arrive on the line. They wait here (up to 64 KiB, later ones are lost) until the guest takes
  /// them.
  void receive(std::span<const std::uint8_t> bytes);

  /// The line has room again.
  void line_ready();

  void reset();
  std::unique_ptr<DeviceSection> section(std::uint32_t instance = 0);

 private:
  std::uint8_t read_locked(unsigned offset);
  std::optional<std::uint8_t> write_locked(unsigned offset, std::uint8_t value);
  std::optional<std::uint8_t> write_data(std::uint8_t value);
  void write_fifo_control(std::uint8_t value);
  void write_modem_control(std::uint8_t value);
  std::uint8_t read_data();
  void accept(std::uint8_t value);
  void take_waiting();
  void send(std::uint8_t value);
  bool has_room() const { return !line_.has_room || line_.has_room(); }
  void update_interrupt();
  void before_save();
  Result<> after_load();

  bool fifo_enabled() const;
  bool has_data() const;
  bool loops_back() const;
  bool divisor_latch() const;

  const SerialLine line_;
  const std::function<void(bool)> interrupt_;
  std::mutex mutex_;  // guards what follows
  SerialState state_;
  std::deque<std::uint8_t> waiting_;
  bool interrupt_level_ = false;
  bool awaits_room_ = false;  // the transmitter's interrupt comes when the line has room
};

}  // namespace godwit::vm

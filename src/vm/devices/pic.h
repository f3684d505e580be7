// A pair of i8259 interrupt controllers with their ELCR, on the registers of PicState.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "vm/devices/pic_state.h"

namespace godwit::vm {

/// Not thread-safe: InterruptControllers holds the lock.
class PicPair {
 public:
  static constexpr unsigned line_count = 16;

  void set_line(unsigned line, bool high);
  /// Whether the master asks for an interrupt.
  bool output() const;
  /// The processor's acknowledge cycle: the vector, the spurious one if the request is gone.
  std::uint8_t acknowledge();

  /// `chip`: PicState::master or slave; `port` 0: command, 1: data.
  std::uint8_t read(unsigned chip, unsigned port);
  void write(unsigned chip, unsigned port, std::uint8_t value);
  std::uint8_t read_elcr(unsigned chip) const { return chips_[chip].level_triggered; }
  void write_elcr(unsigned chip, std::uint8_t value);

  void reset();
  PicState& state(unsigned chip) { return chips_[chip]; }

 private:
  static constexpr unsigned cascade_line = 2, spurious_line = 7;

  std::optional<unsigned> pending(unsigned chip) const;
  void acknowledge_line(unsigned chip, unsigned line);
  void command(unsigned chip, std::uint8_t value);
  void initialize(PicState& chip, std::uint8_t value);
  std::uint8_t poll(unsigned chip);
  static void set_chip_line(PicState& chip, unsigned line, bool high);
  void update_cascade();

  std::array<PicState, 2> chips_;
};

}  // namespace godwit::vm

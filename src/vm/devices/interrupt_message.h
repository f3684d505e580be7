// What interrupt controllers send to local APICs.
#pragma once

#include <cstdint>

namespace godwit::vm {

/// The numbers are those of the delivery mode field.
enum class DeliveryMode : std::uint8_t {
  fixed,
  lowest_priority,
  smi,
  reserved,
  nmi,
  init,
  start_up,
  external
};

inline DeliveryMode delivery_mode(std::uint64_t entry) {
  return static_cast<DeliveryMode>(entry >> 8 & 7);
}

struct InterruptMessage {
  std::uint8_t vector = 0;
  DeliveryMode mode = DeliveryMode::fixed;
  std::uint8_t destination = 0;
  bool logical = false;
  bool level_triggered = false;
};

}  // namespace godwit::vm

// System control port A (0x92: A20 and fast reset) and the reset control port (0xcf9).
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include <godwit/device_section.h>

#include "vm/board/port_map.h"

namespace godwit::vm {

/// A20 is a bit that can be read back: addresses are never cut. Thread-safe.
class SystemControlPort final : public PortDevice {
 public:
  explicit SystemControlPort(std::function<void()> request_reset)
      : request_reset_(std::move(request_reset)) {}
  std::uint8_t read(unsigned offset) override;
  void write(unsigned offset, std::uint8_t value) override;
  void reset();
  std::unique_ptr<DeviceSection> section();

 private:
  const std::function<void()> request_reset_;
  std::mutex mutex_;
  struct State {
    std::uint8_t value = 0;
  } state_;
};

/// Setting bit 2 resets. Keeps no state that a guest could rely on. Thread-safe.
class ResetControlPort final : public PortDevice {
 public:
  explicit ResetControlPort(std::function<void()> request_reset) : request_reset_(std::move(request_reset)) {}
  std::uint8_t read(unsigned) override { return 0; }
  void write(unsigned offset, std::uint8_t value) override;

 private:
  const std::function<void()> request_reset_;
};

}  // namespace godwit::vm

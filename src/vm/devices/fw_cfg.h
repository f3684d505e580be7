// The firmware configuration device: named items that the guest reads through two ports or by DMA.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "vm/accel/accelerator.h"
#include "vm/board/port_map.h"
#include "vm/devices/fw_cfg_state.h"

namespace godwit::vm {

/// Thread-safe.
class FwCfg final : public PortDevice {
 public:
  static constexpr std::uint16_t first_port = 0x510;
  static constexpr unsigned port_count = 12;

  /// DMA goes through `bus`, which outlives this.
  explicit FwCfg(Bus& bus);

  // Before the machine starts.
  void add(std::uint16_t key, std::vector<std::uint8_t> item);
  template <typename T>
  void add_number(std::uint16_t key, T value) {
    std::vector<std::uint8_t> item;
    for (std::size_t i = 0; i < sizeof(T); ++i) item.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    add(key, std::move(item));
  }
  /// Files get their keys in the order in which they are added: that of their names, as the peer has them.
  void add_file(const std::string& name, std::vector<std::uint8_t> contents);

  std::uint8_t read(unsigned offset) override;
  void write(unsigned offset, std::uint8_t value) override;
  std::uint32_t read_wide(unsigned offset, unsigned size) override;
  void write_wide(unsigned offset, unsigned size, std::uint32_t value) override;

  void reset();
  std::unique_ptr<DeviceSection> section() {
    return make_fw_cfg_section(state_, {.before_save = {}, .after_load = [this] { return after_load(); }});
  }

 private:
  struct DmaRequest;
  void select(std::uint16_t key);
  std::uint8_t next_byte();
  void write_dma_register(unsigned offset, std::uint32_t value);
  void transfer(std::uint64_t request_address);
  bool serve(const DmaRequest& request);
  Result<> after_load() const;

  Bus& bus_;
  std::map<std::uint16_t, std::vector<std::uint8_t>> items_;  // fixed once the machine runs
  std::uint16_t next_file_ = 0x20;
  std::mutex mutex_;  // guards what follows
  FwCfgState state_;
};

}  // namespace godwit::vm

// The registers of one i8259 interrupt controller, as the section carries them (x86-machine-state
// section 4.9).
#pragma once

#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

struct PicState {
  static constexpr unsigned master = 0, slave = 1;
  static constexpr std::uint8_t master_elcr_mask = 0xf8;  ///< lines that can be level triggered
  static constexpr std::uint8_t slave_elcr_mask = 0xde;

  std::uint8_t last_requested = 0;  ///< the lines' levels, for edges
  std::uint8_t requested = 0;
  std::uint8_t mask = 0;
  std::uint8_t in_service = 0;
  std::uint8_t priority_add = 0;  ///< the line with the highest priority
  std::uint8_t vector_base = 0;
  std::uint8_t read_in_service = 0;
  std::uint8_t poll = 0;
  std::uint8_t special_mask = 0;
  std::uint8_t init_state = 0;  ///< which initialization word comes next; 0: none
  std::uint8_t auto_end = 0;
  std::uint8_t rotate_on_auto_end = 0;
  std::uint8_t special_fully_nested = 0;
  std::uint8_t init_word_4 = 0;
  std::uint8_t single_mode = 0;
  std::uint8_t level_triggered = 0;  ///< ELCR

  bool operator==(const PicState&) const = default;
};

/// Instance 0 is the master, 1 the slave. `state` outlives the section.
std::unique_ptr<DeviceSection> make_pic_section(PicState& state, std::uint32_t instance,
                                                SectionHooks hooks = {});

}  // namespace godwit::vm

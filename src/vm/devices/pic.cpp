#include "vm/devices/pic.h"

namespace godwit::vm {
namespace {

constexpr unsigned nothing = 8;

std::uint8_t bit_of(unsigned line) {
  return static_cast<std::uint8_t>(1u << line);
}

void clear(std::uint8_t& bits, unsigned line) {
  bits = static_cast<std::uint8_t>(bits & ~bit_of(line));
}

/// 0 is the highest; `nothing` for no line at all.
unsigned priority_of(const PicState& chip, std::uint8_t lines) {
  for (unsigned priority = 0; priority < 8; ++priority)
    if (lines & bit_of((priority + chip.priority_add) & 7)) return priority;
  return nothing;
}

}  // namespace

void PicPair::set_chip_line(PicState& chip, unsigned line, bool high) {
  const std::uint8_t bit = bit_of(line);
  const bool was_high = (chip.last_requested & bit) != 0;
  if (high) {
    if (!was_high || (chip.level_triggered & bit)) chip.requested |= bit;
    chip.last_requested |= bit;
  } else {
    if (chip.level_triggered & bit) clear(chip.requested, line);
    clear(chip.last_requested, line);
  }
}

void PicPair::update_cascade() {
  set_chip_line(chips_[PicState::master], cascade_line, pending(PicState::slave).has_value());
}

void PicPair::set_line(unsigned line, bool high) {
  if (line >= line_count || line == cascade_line) return;
  set_chip_line(chips_[line / 8], line % 8, high);
  update_cascade();
}

std::optional<unsigned> PicPair::pending(unsigned index) const {
  const PicState& chip = chips_[index];
  const unsigned priority = priority_of(chip, static_cast<std::uint8_t>(chip.requested & ~chip.mask));
  if (priority == nothing) return std::nullopt;
  std::uint8_t serving = chip.in_service;
  if (chip.special_mask) serving = static_cast<std::uint8_t>(serving & ~chip.mask);
  if (chip.special_fully_nested && index == PicState::master) clear(serving, cascade_line);
  if (priority >= priority_of(chip, serving)) return std::nullopt;
  return (priority + chip.priority_add) & 7;
}

bool PicPair::output() const {
  return pending(PicState::master).has_value();
}

void PicPair::acknowledge_line(unsigned index, unsigned line) {
  PicState& chip = chips_[index];
  if (!chip.auto_end) {
    chip.in_service |= bit_of(line);
  } else if (chip.rotate_on_auto_end) {
    chip.priority_add = static_cast<std::uint8_t>((line + 1) & 7);
  }
  if (!(chip.level_triggered & bit_of(line))) clear(chip.requested, line);
}

std::uint8_t PicPair::acknowledge() {
  const auto line = pending(PicState::master);
  if (!line) return static_cast<std::uint8_t>(chips_[PicState::master].vector_base + spurious_line);
  if (*line != cascade_line) {
    acknowledge_line(PicState::master, *line);
    return static_cast<std::uint8_t>(chips_[PicState::master].vector_base + *line);
  }
  const auto below = pending(PicState::slave);
  acknowledge_line(PicState::master, cascade_line);
  if (below) acknowledge_line(PicState::slave, *below);
  update_cascade();
  return static_cast<std::uint8_t>(chips_[PicState::slave].vector_base + below.value_or(spurious_line));
}

std::uint8_t PicPair::poll(unsigned index) {
  chips_[index].poll = 0;
  const auto line = pending(index);
  if (!line) return 0;
  acknowledge_line(index, *line);
  update_cascade();
  return static_cast<std::uint8_t>(0x80 | *line);
}

std::uint8_t PicPair::read(unsigned index, unsigned port) {
  PicState& chip = chips_[index];
  if (chip.poll) return poll(index);
  if (port == 1) return chip.mask;
  return chip.read_in_service ? chip.in_service : chip.requested;
}

void PicPair::write(unsigned index, unsigned port, std::uint8_t value) {
  PicState& chip = chips_[index];
  if (port == 0) {
    command(index, value);
  } else {
    switch (chip.init_state) {
      case 1:
        chip.vector_base = value & 0xf8;
        chip.init_state = chip.single_mode ? (chip.init_word_4 ? 3 : 0) : 2;
        break;
      case 2:
        chip.init_state = chip.init_word_4 ? 3 : 0;
        break;
      case 3:
        chip.special_fully_nested = value >> 4 & 1;
        chip.auto_end = value >> 1 & 1;
        chip.init_state = 0;
        break;
      default:
        chip.mask = value;
    }
  }
  update_cascade();
}

void PicPair::initialize(PicState& chip, std::uint8_t value) {
  const PicState before = chip;
  chip = PicState();
  chip.last_requested = before.last_requested;
  chip.level_triggered = before.level_triggered;
  // Edges are forgotten, levels are still there.
  chip.requested = before.last_requested & before.level_triggered;
  chip.vector_base = before.vector_base;
  chip.init_state = 1;
  chip.init_word_4 = value & 1;
  chip.single_mode = value & 2;
}

void PicPair::command(unsigned index, std::uint8_t value) {
  PicState& chip = chips_[index];
  if (value & 0x10) return initialize(chip, value);
  if (value & 0x08) {
    if (value & 0x04) chip.poll = 1;
    if (value & 0x02) chip.read_in_service = value & 1;
    if (value & 0x40) chip.special_mask = value >> 5 & 1;
    return;
  }
  const unsigned operation = value >> 5;
  const bool rotate = (operation & 4) != 0;
  const bool specific = (operation & 2) != 0;
  const bool end = (operation & 1) != 0;
  unsigned line = value & 7;
  if (!specific && !end) {
    chip.rotate_on_auto_end = rotate;
    return;
  }
  if (!specific) {
    const unsigned priority = priority_of(chip, chip.in_service);
    if (priority == nothing) return;
    line = (priority + chip.priority_add) & 7;
  }
  if (end) clear(chip.in_service, line);
  if (rotate) chip.priority_add = static_cast<std::uint8_t>((line + 1) & 7);
}

void PicPair::write_elcr(unsigned chip, std::uint8_t value) {
  chips_[chip].level_triggered =
      value & (chip == PicState::master ? PicState::master_elcr_mask : PicState::slave_elcr_mask);
}

void PicPair::reset() {
  chips_ = {};
}

}  // namespace godwit::vm

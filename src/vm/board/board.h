// A board: what is around the processors of one kind of machine.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <godwit/device_section.h>
#include <godwit/result.h>

#include "vm/accel/accelerator.h"
#include "vm/accel/interrupt_chips.h"
#include "vm/board/memory_map.h"
#include "vm/board/mmio_map.h"
#include "vm/board/port_map.h"
#include "vm/machine_config.h"

namespace godwit::vm {

/// The guest-physical address space and the ports. Ports and memory: thread-safe. The rest: with the vCPUs
/// stopped.
class Board : public Bus {
 public:
  /// Called, on any thread, with a piece of RAM that somebody other than a vCPU wrote.
  using MarkWritten = std::function<void(const MemoryMap::Piece&)>;
  using Sections = std::vector<std::unique_ptr<DeviceSection>>;

  Board(MemoryMap memory, MarkWritten mark_written)
      : memory_(std::move(memory)), mark_written_(std::move(mark_written)) {}

  const MemoryMap& memory() const { return memory_; }

  /// Puts the devices, and the RAM that firmware would fill, as after power-on.
  virtual Result<> reset() = 0;
  /// The same for a machine whose guest is going to arrive: what comes with it is left alone.
  virtual Result<> await_guest() { return {}; }
  /// As a vCPU is after reset().
  virtual CpuState initial_cpu(unsigned index) const = 0;
  /// The devices' sections, in their order: those before the vCPUs', those behind the section of a vCPU, and
  /// the others.
  virtual void add_first_sections(Sections& sections) { (void)sections; }
  virtual void add_vcpu_sections(unsigned index, Sections& sections) { (void)index, (void)sections; }
  virtual void add_sections(Sections& sections) = 0;
  /// What the board's interrupt controllers should have; nothing if it has none.
  virtual std::optional<ChipOptions> chip_options(const GuestClock& clock) const {
    (void)clock;
    return std::nullopt;
  }
  /// Once, before anything else but chip_options(), if there are some. They outlive the board's use.
  virtual void use_chips(InterruptChips& chips) { (void)chips; }
  virtual void serial_input(std::span<const std::uint8_t> bytes) { (void)bytes; }
  virtual void serial_line_ready() {}

  // Bus
  std::uint32_t read_port(std::uint16_t port, unsigned size) override { return ports_.read(port, size); }
  void write_port(std::uint16_t port, unsigned size, std::uint32_t value) override {
    ports_.write(port, size, value);
  }
  void read_memory(std::uint64_t guest_address, std::span<std::byte> into) override {
    if (!mmio_.read(guest_address, into)) memory_.read(guest_address, into);
  }
  void write_memory(std::uint64_t guest_address, std::span<const std::byte> from) override {
    if (!mmio_.write(guest_address, from)) memory_.write(guest_address, from, mark_written_);
  }

 protected:
  PortMap ports_;
  MmioMap mmio_;

 private:
  const MemoryMap memory_;
  const MarkWritten mark_written_;
};

struct BoardParts {
  std::byte* ram = nullptr;           ///< host memory of the RAM block, null when there is none
  std::uint64_t ram_size = 0;         ///< bytes
  std::byte* bios = nullptr;          ///< host memory of the BIOS block, of a machine that has one
  std::vector<std::byte> bios_image;  ///< what reset() puts there; as large as the block
  bool is_kvm = false;                ///< the accelerator is KVM
  GuestTimers* timers = nullptr;      ///< of the machine
  std::function<bool()> sends_clock;  ///< is the kernel's clock part of a stream? Empty: no
  Board::MarkWritten mark_written;
  std::function<void()> request_reset;  ///< the guest asks for a reset; on a vCPU thread
};

std::unique_ptr<Board> make_none_board(const MachineConfig& config, BoardParts parts);
std::unique_ptr<Board> make_pc_board(const MachineConfig& config, BoardParts parts);
std::unique_ptr<Board> make_microvm_board(const MachineConfig& config, BoardParts parts);
std::unique_ptr<Board> make_board(const MachineConfig& config, BoardParts parts);

}  // namespace godwit::vm

// What executes guest code: KVM, Unicorn, or nothing at all. Above this interface nobody knows which.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <godwit/dirty_tracker.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "vm/accel/cpu_state.h"

namespace godwit::vm {

class InterruptChips;
struct ChipOptions;

/// Guest-physical memory that is backed by host memory. Page aligned; slots do not overlap.
struct RamSlot {
  std::uint64_t guest_address = 0;
  std::uint64_t size = 0;  ///< bytes
  std::byte* host = nullptr;
  std::size_t block = 0;           ///< number of the RAM block it shows a part of
  std::uint64_t block_offset = 0;  ///< bytes; where in the block it begins
};

/// What is around the processors: ports, and memory that is not RAM. Called on vCPU threads, several at once.
class Bus {
 public:
  virtual ~Bus() = default;
  /// `size` is 1, 2 or 4 bytes.
  virtual std::uint32_t read_port(std::uint16_t port, unsigned size) = 0;
  virtual void write_port(std::uint16_t port, unsigned size, std::uint32_t value) = 0;
  virtual void read_memory(std::uint64_t guest_address, std::span<std::byte> into) = 0;
  virtual void write_memory(std::uint64_t guest_address, std::span<const std::byte> from) = 0;
};

/// Why a vCPU stopped executing.
enum class VcpuExit : std::uint8_t {
  interrupted,  ///< interrupt() was called
  halted,       ///< waits for an interrupt or for start-up; nothing but a new state can make it go on
  reset,        ///< triple fault: the machine must be reset
};

/// One virtual processor. attach() and run() are called on its own thread, the others but interrupt() by one
/// thread at a time while it does not run.
class Vcpu {
 public:
  virtual ~Vcpu() = default;

  /// The first call on the thread.
  virtual Result<> attach() = 0;

  /// Executes guest code until interrupted or until the guest can not go on. Between two instructions when it
  /// returns: no access of the guest is half done. An error is final until a new state is set.
  virtual Result<VcpuExit> run() = 0;

  /// From any thread: makes a run() in progress return soon (some microseconds), and every later one at once,
  /// until clear_interrupt().
  virtual void interrupt() noexcept = 0;
  virtual void clear_interrupt() noexcept = 0;

  virtual Result<CpuState> state() = 0;
  /// Of the state, the time stamp counter alone.
  virtual Result<std::uint64_t> ticks() {
    GODWIT_ASSIGN(const auto all, state());
    return all.tsc;
  }
  virtual Result<> set_state(const CpuState& state) = 0;
};

class Accelerator {
 public:
  virtual ~Accelerator() = default;
  virtual std::string_view name() const = 0;  ///< "kvm", "tcg" or "qtest"

  /// Gives the guest its memory. Called once, before the first vCPU is made; the memory outlives the
  /// accelerator.
  virtual Result<> map_ram(std::span<const RamSlot> slots) = 0;

  /// The bus outlives the vCPU, the accelerator too.
  virtual Result<std::unique_ptr<Vcpu>> create_vcpu(unsigned index, Bus& bus) = 0;

  /// The interrupt controllers of a machine that has some. Called once, after the vCPUs were made; they live
  /// shorter than the accelerator and its vCPUs. Fails if the accelerator has none.
  virtual Result<std::unique_ptr<InterruptChips>> create_chips(const ChipOptions& options);

  /// How writes of the guest to its RAM are noticed. Called once, after the vCPUs were made.
  virtual Result<std::unique_ptr<DirtyTracker>> create_dirty_tracker() = 0;
};

}  // namespace godwit::vm

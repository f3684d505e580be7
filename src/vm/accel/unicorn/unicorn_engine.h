// Owner of one Unicorn engine: memory, hooks and registers, with errors as values.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <unicorn/unicorn.h>

#include <godwit/result.h>

#include "base/system.h"
#include "vm/accel/accelerator.h"

namespace godwit::vm {

/// What a Unicorn engine is made for; it cannot change. The wide one never leaves 64-bit mode, the others
/// never enter it.
enum class EngineMode : std::uint8_t { real, protected_32, wide };

/// Called out of uc_emu_start(), on the vCPU's thread.
class EngineClient {
 public:
  virtual ~EngineClient() = default;
  /// Before each block of code. `linear` is its address.
  virtual void on_block(std::uint64_t linear, std::uint32_t size) = 0;
  virtual void on_syscall() = 0;
  /// An exception, with rip at the instruction that failed, or a software interrupt, with rip behind it.
  virtual void on_exception(std::uint32_t vector) = 0;
};

class UnicornEngine {
 public:
  /// Everything given outlives the engine.
  static Result<std::unique_ptr<UnicornEngine>> open(EngineMode mode, std::span<const RamSlot> slots,
                                                     Bus& bus, EngineClient& client);
  ~UnicornEngine();
  UnicornEngine(const UnicornEngine&) = delete;
  UnicornEngine& operator=(const UnicornEngine&) = delete;

  EngineMode mode() const { return mode_; }
  uc_engine* get() const { return engine_; }

  /// T is at least as large as the register.
  template <typename T>
  T read(int id) const {
    T value{};
    // Fails only for numbers that are no register of x86.
    uc_reg_read(engine_, id, &value);
    return value;
  }
  template <typename T>
  void write(int id, T value) {
    uc_reg_write(engine_, id, &value);
  }
  std::uint64_t read_msr(std::uint32_t index) const;
  void write_msr(std::uint32_t index, std::uint64_t value);

  /// Memory of the engine's own, for descriptors: Unicorn loads segments from guest memory only. The guest's
  /// RAM has a hole there.
  static constexpr std::uint64_t descriptor_table_address = 0xfefd0000;
  std::span<std::byte> descriptor_table() { return descriptor_table_.bytes(); }

  /// Executes from where the registers say until stop(), an error, or the instruction at `until` (linear) is
  /// reached. `count` 0: any number of instructions.
  uc_err run(std::uint64_t until, std::size_t count);
  /// Drops the translation of this code (linear addresses): code that was translated for a run without a
  /// count does not count. Not while the engine runs.
  void forget(std::uint64_t begin, std::uint64_t end) { uc_ctl_remove_cache(engine_, begin, end); }
  /// Only from EngineClient::on_block(): exact, that block is not executed.
  void stop() { uc_emu_stop(engine_); }

 private:
  /// Memory between or behind the slots.
  struct Gap {
    Bus* bus;
    std::uint64_t address;
  };

  UnicornEngine(EngineMode mode, Bus& bus, EngineClient& client) : mode_(mode), bus_(bus), client_(client) {}
  Result<> map(std::span<const RamSlot> slots);
  Result<> map_gap(std::uint64_t begin, std::uint64_t end);
  Result<> add_hooks();

  const EngineMode mode_;
  Bus& bus_;
  EngineClient& client_;
  Mapping descriptor_table_;
  uc_engine* engine_ = nullptr;
  std::list<Gap> gaps_;  // the engine points to them
};

}  // namespace godwit::vm

// CpuState in and out of a Unicorn engine.
#pragma once

#include <memory>

#include "vm/accel/unicorn/unicorn_engine.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

/// The engine that executes what a state is in.
EngineMode engine_mode_of(const CpuState& state);

/// Puts a state into an engine that was just opened. Fails for segments from a local descriptor table, which
/// Unicorn cannot load.
Result<> load_state(UnicornEngine& engine, const CpuState& state);

/// The same, for a state that differs from the engine's in instruction pointer, stack pointer and flags only.
void move_to(UnicornEngine& engine, const CpuState& state);

/// Reads states out of engines. Registers above 32 bits of an engine that is not wide are only to be had
/// through a context of a wide one.
class StateReader {
 public:
  static Result<StateReader> create();
  StateReader(StateReader&&) noexcept = default;

  /// `state` holds what was loaded into the engine, or read from it, last; it is brought up to date. What
  /// Unicorn keeps to itself stays as it was: the hidden part of a segment as long as its selector does not
  /// change, else it comes from the descriptor table in `memory`.
  Result<> read(const UnicornEngine& engine, const MemoryMap& memory, CpuState& state);

 private:
  struct CloseEngine {
    void operator()(uc_engine* engine) const { uc_close(engine); }
  };
  struct FreeContext {
    void operator()(uc_context* context) const { uc_context_free(context); }
  };
  StateReader() = default;

  std::unique_ptr<uc_engine, CloseEngine> wide_;
  std::unique_ptr<uc_context, FreeContext> context_;
};

}  // namespace godwit::vm

// Section "globalstate": the run state that travels with the guest (wire-format section 11.1).
#pragma once

#include <array>
#include <cstdint>

#include <godwit/field_table.h>
#include <godwit/run_state.h>

namespace godwit::engine {

struct GlobalState {
  std::uint32_t size = 0;                     ///< bytes of the name, its NUL included
  std::array<std::uint8_t, 100> run_state{};  ///< the name, padded with zeros

  static GlobalState of(RunState state);
  /// Fails on a name that no run state has.
  Result<RunState> to_run_state() const;
};

const FieldTable<GlobalState>& global_state_table();

}  // namespace godwit::engine

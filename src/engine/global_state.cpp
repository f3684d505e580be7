#include "engine/global_state.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/fail.h"

namespace godwit::engine {

GlobalState GlobalState::of(RunState state) {
  const std::string_view name = schema::to_string(state);
  GlobalState out;
  out.size = static_cast<std::uint32_t>(name.size() + 1);
  std::ranges::copy(name, out.run_state.begin());
  return out;
}

Result<RunState> GlobalState::to_run_state() const {
  const auto end = std::ranges::find(run_state, 0);
  const std::string name(run_state.begin(), end);
  if (const auto state = schema::from_string<RunState>(name); state && end != run_state.end()) return *state;
  return fail("globalstate: '{}' is no run state", name);
}

const FieldTable<GlobalState>& global_state_table() {
  static const auto table = FieldTable<GlobalState>("globalstate", {.version = 1})
                                .field("size", &GlobalState::size, in_range(0, 100))
                                .buffer("runstate", &GlobalState::run_state);
  return table;
}

}  // namespace godwit::engine

// A guest of the shape of the recorded streams, and the way to load one from memory.
#pragma once

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

#include "engine/incoming/stream_loader.h"
#include "engine/testing/fake_guest.h"

namespace godwit::engine::testing {

struct Timer {
  std::int64_t ticks_offset = 0;
  std::int64_t clock_offset = 0;
};

/// A machine of type `none`: RAM, and the section `timer`.
struct NoneGuest final : public Guest {
  explicit NoneGuest(const std::string& block, std::uint64_t pages, bool shared = false)
      : inner(std::vector<BlockSize>{{block, pages, shared}}, RunState::inmigrate) {
    static const auto table = FieldTable<Timer>("timer", {.version = 2})
                                  .field("cpu_ticks_offset", &Timer::ticks_offset)
                                  .unused(8)
                                  .field("cpu_clock_offset", &Timer::clock_offset);
    sections.push_back(make_section("timer", 0, table, timer));
  }
  std::string machine_name() const override { return "none"; }
  std::optional<Uuid> uuid() const override { return own_uuid; }
  std::span<const RamBlock> ram_blocks() const override { return inner.ram_blocks(); }
  DirtyTracker& dirty_tracker() override { return inner.tracker; }
  std::span<const std::unique_ptr<DeviceSection>> device_sections() override { return sections; }
  RunState run_state() const override { return inner.run_state(); }
  Result<> set_run_state(RunState state) override { return inner.set_run_state(state); }

  FakeGuest inner;
  Timer timer;
  std::optional<Uuid> own_uuid;
  std::vector<std::unique_ptr<DeviceSection>> sections;
};

/// A recorded stream, by its name in tests/data/golden.
inline std::vector<std::byte> golden(const std::string& name) {
  std::ifstream file(std::string(GODWIT_TEST_DATA) + "/golden/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// What became of a load.
struct Load {
  Result<> result;
  RunState state = RunState::inmigrate;
  std::vector<wire::ReturnMessage> replies{};
};

/// Reads the whole stream, description included.
inline Load load(NoneGuest& guest, std::span<const std::byte> stream, const Capabilities& capabilities = {},
                 const MigrationOptions& options = {}) {
  Load out;
  StreamLoader loader(guest, capabilities, options, [&out](const wire::ReturnMessage& message) -> Result<> {
    out.replies.push_back(message);
    return {};
  });
  SpanInput in(stream);
  out.result = loader.load(in);
  if (out.result && options.send_description) out.result = loader.drain_description(in);
  out.state = loader.run_state();
  return out;
}

}  // namespace godwit::engine::testing

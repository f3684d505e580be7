// The destination's whole path: a stream from nobody in particular is loaded into a guest of the shape that
// the recorded ones have, so that mutations of them get far.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/incoming/stream_loader.h"
#include "engine/testing/fake_guest.h"
#include "fuzz.h"

namespace {

using namespace godwit;

constexpr std::uint64_t pages = 4096;
constexpr std::string_view ignore_shared = "x-ignore-shared";

struct Timer {
  std::int64_t ticks_offset = 0;
  std::int64_t clock_offset = 0;
};

/// A machine of type `none` with both kinds of RAM, or with shared RAM that stays where it is.
class NoneGuest final : public Guest {
 public:
  explicit NoneGuest(bool shared) : memory_({{"m0", pages, shared}, {"ram", pages}}) {
    static const auto table = FieldTable<Timer>("timer", {.version = 2})
                                  .field("cpu_ticks_offset", &Timer::ticks_offset)
                                  .unused(8)
                                  .field("cpu_clock_offset", &Timer::clock_offset);
    sections_.push_back(make_section("timer", 0, table, timer_));
  }
  std::string machine_name() const override { return "none"; }
  std::optional<Uuid> uuid() const override { return std::nullopt; }
  std::span<const RamBlock> ram_blocks() const override { return memory_.ram_blocks(); }
  DirtyTracker& dirty_tracker() override { return memory_.tracker; }
  std::span<const std::unique_ptr<DeviceSection>> device_sections() override { return sections_; }
  RunState run_state() const override { return RunState::inmigrate; }
  Result<> set_run_state(RunState) override { return {}; }

 private:
  engine::testing::FakeGuest memory_;
  Timer timer_;
  std::vector<std::unique_ptr<DeviceSection>> sections_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static NoneGuest plain(false);
  static NoneGuest sharing(true);
  const auto bytes = fuzz::bytes(data, size);
  // What a stream is like, its reader has to be told.
  const bool shared =
      !std::ranges::search(std::span(data, std::min<std::size_t>(size, 256)), ignore_shared).empty();
  engine::Capabilities capabilities;
  capabilities.set(engine::Capability::x_ignore_shared, shared);
  for (const bool footers : {true, false}) {
    const MigrationOptions options{.send_configuration = size > 8 && data[8] == 7,
                                   .send_section_footer = footers};
    engine::StreamLoader loader(shared ? sharing : plain, capabilities, options,
                                [](const wire::ReturnMessage&) -> Result<> { return {}; });
    SpanInput in(bytes);
    const auto loaded = loader.load(in);
    if (!loaded) continue;
    fuzz::expect(in.offset() <= size, "no more is read than there is");
    (void)loader.drain_description(in);
  }
  return 0;
}

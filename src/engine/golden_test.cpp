// Streams recorded from QEMU 7.2, loaded into a guest of the same shape; and what happens when they are
// damaged.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <random>
#include <string>

#include "engine/incoming/stream_loader.h"
#include "engine/testing/fake_guest.h"

namespace godwit::engine {
namespace {

using testing::FakeGuest;
using ::testing::HasSubstr;

struct Timer {
  std::int64_t ticks_offset = 0;
  std::int64_t clock_offset = 0;
};

/// A machine of type `none`: RAM, and the section `timer`.
struct NoneGuest final : public Guest {
  explicit NoneGuest(const std::string& block, std::uint64_t pages, bool shared = false)
      : inner(std::vector<testing::BlockSize>{{block, pages, shared}}, RunState::inmigrate) {
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

std::vector<std::byte> golden(const std::string& name) {
  std::ifstream file(std::string(GODWIT_TEST_DATA) + "/golden/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// Pages of the samples (tests/data/golden/README.md).
void pattern_page(std::byte* at, std::size_t page) {
  for (std::size_t j = 0; j < page_size; ++j) at[j] = static_cast<std::byte>(7 * j + 13 * page);
}

std::vector<std::byte> set_a() {
  std::vector<std::byte> ram(16 << 20);
  for (std::size_t page : {0, 1, 2, 5, 100, 101}) pattern_page(ram.data() + page * page_size, page);
  std::memset(ram.data() + 16 * page_size, 0x41, page_size);
  ram[18 * page_size - 1] = std::byte{1};
  std::memset(ram.data() + 4095 * page_size, 0xff, page_size);
  return ram;
}

struct Load {
  Result<> result;
  RunState state = RunState::inmigrate;
  std::vector<wire::ReturnMessage> replies{};
};

Load load(NoneGuest& guest, std::span<const std::byte> stream, const Capabilities& capabilities = {},
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

Capabilities with(Capability capability) {
  Capabilities capabilities;
  capabilities.set(capability, true);
  return capabilities;
}

TEST(GoldenStream, PlainPrecopyGivesSetA) {
  NoneGuest guest("m0", 4096);
  const Load loaded = load(guest, golden("01-precopy-plain.bin"));
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  EXPECT_EQ(loaded.state, RunState::running);
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, set_a().data(), 16 << 20), 0);
}

TEST(GoldenStream, WithoutConfigurationFootersAndDescription) {
  NoneGuest guest("m0", 4096);
  const Load loaded =
      load(guest, golden("02-precopy-noconfig-nofooter-novmdesc.bin"), {},
           {.send_configuration = false, .send_section_footer = false, .send_description = false});
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, set_a().data(), 16 << 20), 0);
}

TEST(GoldenStream, IgnoredSharedMemoryAndUuid) {
  const auto stream = golden("03-config-capabilities-uuid.bin");
  NoneGuest guest("m0", 4096, true);
  guest.own_uuid =
      Uuid{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
  const Load loaded = load(guest, stream, with(Capability::x_ignore_shared));
  EXPECT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  EXPECT_FALSE(load(guest, stream).result.has_value()) << "x-ignore-shared is off here";
  guest.own_uuid = Uuid{1};
  EXPECT_FALSE(load(guest, stream, with(Capability::x_ignore_shared)).result.has_value()) << "another UUID";
}

TEST(GoldenStream, AReturnPathIsAnswered) {
  NoneGuest guest("m0", 4096);
  const Load loaded = load(guest, golden("06-return-path-to-dst.bin"));
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  ASSERT_EQ(loaded.replies.size(), 1u);
  EXPECT_EQ(std::get<wire::Pong>(loaded.replies[0]).value, 1u);
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, set_a().data(), 16 << 20), 0);
}

TEST(GoldenStream, ASnapshotHasNoEndOfRam) {
  NoneGuest guest("ram", 4096);
  std::memset(guest.ram_blocks()[0].host + 0x5000, 0x55, page_size);  // must become zero
  const Load loaded = load(guest, golden("13-background-snapshot.bin"));
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  const std::vector<std::byte> zeros(16 << 20);
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, zeros.data(), zeros.size()), 0);
}

TEST(DamagedStream, TruncatedAnywhereItIsAnErrorThatNamesAnOffset) {
  const auto stream = golden("03-config-capabilities-uuid.bin");
  for (std::size_t length = 0; length < stream.size(); ++length) {
    NoneGuest guest("m0", 4096, true);
    const Load loaded = load(guest, std::span(stream).first(length), with(Capability::x_ignore_shared));
    if (loaded.result) continue;  // behind EOF the description may be missing
    EXPECT_THAT(loaded.result.error().what(), HasSubstr("offset")) << length;
  }
}

TEST(DamagedStream, TruncatedPagesAreAnError) {
  const auto stream = golden("01-precopy-plain.bin");
  NoneGuest guest("m0", 4096);
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const std::size_t length = random() % (stream.size() - 700);
    const Load loaded = load(guest, std::span(stream).first(length));
    ASSERT_FALSE(loaded.result.has_value()) << length;
    EXPECT_THAT(loaded.result.error().what(), HasSubstr("offset")) << length;
  }
}

TEST(DamagedStream, EveryFlippedBitIsSurvived) {
  auto stream = golden("03-config-capabilities-uuid.bin");
  NoneGuest guest("m0", 4096, true);
  int refused = 0;
  for (std::size_t bit = 0; bit < stream.size() * 8; ++bit) {
    const auto flip = static_cast<std::byte>(1u << (bit % 8));
    stream[bit / 8] ^= flip;
    refused += !load(guest, stream, with(Capability::x_ignore_shared)).result.has_value();
    stream[bit / 8] ^= flip;
  }
  EXPECT_GT(refused, 0);
}

TEST(DamagedStream, FlippedBitsAmongPagesAreSurvived) {
  auto stream = golden("01-precopy-plain.bin");
  NoneGuest guest("m0", 4096);
  std::mt19937 random(2);
  int refused = 0;
  for (int i = 0; i < 1500; ++i) {
    const std::size_t bit = random() % (stream.size() * 8);
    const auto flip = static_cast<std::byte>(1u << (bit % 8));
    stream[bit / 8] ^= flip;
    refused += !load(guest, stream).result.has_value();
    stream[bit / 8] ^= flip;
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace godwit::engine

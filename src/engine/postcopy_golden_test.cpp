// A postcopy recorded from QEMU 7.2, received by an engine.
#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "channel/channel_input.h"
#include "channel/connector.h"
#include "engine/testing/host.h"
#include "engine/testing/none_guest.h"
#include "engine/testing/postcopy_fixture.h"

namespace godwit::engine {
namespace {

/// Set B (tests/data/golden/README.md).
std::vector<std::byte> set_b() {
  std::vector<std::byte> ram(16 << 20);
  for (std::size_t page : {0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 200, 300, 301, 3000})
    for (std::size_t j = 0; j < page_size; ++j)
      ram[page * page_size + j] = static_cast<std::byte>(7 * j + 13 * page);
  return ram;
}

/// A device of which only the length of its state is known.
class OpaqueSection final : public DeviceSection {
 public:
  OpaqueSection(std::string name, std::uint32_t version, std::size_t length)
      : identity_{.name = std::move(name), .instance = 0, .version = version, .minimum_version = version},
        length_(length) {}
  const Identity& identity() const override { return identity_; }
  bool is_optional() const override { return true; }  // sample 07 has none
  Result<> save(Output& out, std::string&) override {
    out.zeros(length_);
    return {};
  }
  Result<> load(Input& in, std::uint32_t) override { return in.discard(length_); }

 private:
  const Identity identity_;
  const std::size_t length_;
};

class GoldenPostcopy : public testing::PostcopyFixture {
 protected:
  GoldenPostcopy() {
    // The machine of samples 08 and 09 had a vCPU.
    const std::tuple<const char*, std::uint32_t, std::size_t> devices[] = {
        {"cpu_common", 1, 8}, {"cpu", 12, 1851}, {"kvm-tpr-opt", 1, 144}, {"apic", 3, 181}};
    for (const auto& [name, version, length] : devices)
      guest_.sections.push_back(std::make_unique<OpaqueSection>(name, version, length));
  }
  void listen(bool preempt) {
    ASSERT_TRUE(migration_
                    .set_capabilities({{Capability::postcopy_ram, true},
                                       {Capability::postcopy_preempt, preempt},
                                       {Capability::events, true}})
                    .has_value());
    ASSERT_TRUE(migration_.incoming(uri_, descriptors_).has_value());
  }
  /// A source that has recorded what it says.
  std::unique_ptr<channel::Channel> connect() {
    channel::Interrupt never;
    auto channel =
        channel::connect(*channel::parse_address(uri_, channel::Direction::outgoing), descriptors_, never);
    EXPECT_TRUE(channel.has_value());
    return *std::move(channel);
  }
  static void say(channel::Channel& channel, const std::string& recording) {
    EXPECT_TRUE(channel.write(testing::golden(recording)).has_value());
  }
  std::unique_ptr<channel::Channel> replay(const std::string& recording) {
    auto channel = connect();
    say(*channel, recording);
    return channel;
  }
  /// The names of what it hears, up to a good verdict.
  static std::vector<std::string> hear(channel::Channel& channel) {
    channel::ChannelInput answers(channel);
    std::vector<std::string> names;
    while (names.empty() || names.back() != "SHUT") {
      const auto message = wire::decode_return_message(answers);
      EXPECT_TRUE(message.has_value()) << message.error().what();
      if (!message) break;
      names.emplace_back(wire::name_of(*message));
      if (std::holds_alternative<wire::ReceivedBitmap>(*message)) {
        DirtyBitmap bitmap(4096);
        EXPECT_TRUE(wire::decode_received_bitmap(answers, bitmap.words(), 4096).has_value());
      }
      EXPECT_TRUE(!std::holds_alternative<wire::Shut>(*message) ||
                  std::get<wire::Shut>(*message).status == 0);
    }
    return names;
  }
  void expect_ram(std::span<const std::byte> expected) {
    recorder_.wait_for("completed");
    EXPECT_EQ(guest_.run_state(), RunState::running);
    EXPECT_EQ(std::memcmp(guest_.ram_blocks()[0].host, expected.data(), expected.size()), 0);
  }
  /// What the guest of samples 08 and 09 wrote before it was moved.
  static std::vector<std::byte> set_b_written_to() {
    auto ram = set_b();
    std::memcpy(ram.data() + 0x1000, "dirty", 5);
    std::memcpy(ram.data() + 0x3000, "zz", 2);
    return ram;
  }

  const std::string uri_ = directory_.uri("m");
  testing::NoneGuest guest_{"m0", 4096};
  testing::Recorder recorder_;
  SteadyClock clock_;
  NoDescriptors descriptors_;
  Migration migration_{guest_, recorder_, clock_};
};

TEST_F(GoldenPostcopy, GivesSetBAndTheVerdict) {
  listen(false);
  const auto channel = replay("07-postcopy-to-dst.bin");
  // PING 1 to 4; what is asked for in between depends on who is faster.
  EXPECT_EQ(std::ranges::count(hear(*channel), "PONG"), 4);
  expect_ram(set_b());
}

TEST_F(GoldenPostcopy, IsTakenUpAgainAfterACut) {
  listen(false);
  auto channel = replay("08-postcopy-recovery-conn0-to-dst.bin");
  ASSERT_TRUE(channel->finish_writing().has_value());
  recorder_.wait_for("postcopy-paused");
  const auto again = replay("08-postcopy-recovery-conn1-to-dst.bin");
  auto heard = hear(*again);
  // The package may be loaded, and its PING answered, before or after the cut.
  std::erase(heard, "PONG");
  ASSERT_GE(heard.size(), 2u);
  EXPECT_EQ(heard[0], "RECV_BITMAP");
  EXPECT_EQ(heard[1], "RESUME_ACK");
  expect_ram(set_b_written_to());
}

TEST_F(GoldenPostcopy, HasUrgentPagesOnAConnectionOfTheirOwn) {
  listen(true);
  const auto main = replay("09-postcopy-preempt-main-to-dst.bin");
  const auto urgent = connect();
  recorder_.wait_for("postcopy-active");  // it says nothing before it is asked
  say(*urgent, "09-postcopy-preempt-urgent-to-dst.bin");
  hear(*main);
  expect_ram(set_b_written_to());
}

}  // namespace
}  // namespace godwit::engine

// A postcopy recorded from QEMU 7.2, received by an engine.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

#include "channel/channel_input.h"
#include "channel/connector.h"
#include "engine/testing/host.h"
#include "engine/testing/none_guest.h"
#include "memory/postcopy_memory.h"

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

TEST(GoldenPostcopy, GivesSetBAndTheVerdict) {
  testing::NoneGuest guest("m0", 4096);
  if (auto possible = memory::PostcopyMemory::check(guest.ram_blocks()); !possible)
    GTEST_SKIP() << possible.error().explain();
  testing::Recorder recorder;
  SteadyClock clock;
  NoDescriptors descriptors;
  Migration migration(guest, recorder, clock);
  ASSERT_TRUE(
      migration.set_capabilities({{Capability::postcopy_ram, true}, {Capability::events, true}}).has_value());
  const std::string uri =
      "unix:" +
      (std::filesystem::temp_directory_path() / ("godwit-golden-" + std::to_string(::getpid()))).string();
  ASSERT_TRUE(migration.incoming(uri, descriptors).has_value());
  channel::Interrupt never;
  auto channel =
      channel::connect(*channel::parse_address(uri, channel::Direction::outgoing), descriptors, never);
  ASSERT_TRUE(channel.has_value());
  ASSERT_TRUE((*channel)->write(testing::golden("07-postcopy-to-dst.bin")).has_value());

  channel::ChannelInput answers(**channel);
  std::vector<std::string> names;
  while (names.empty() || names.back() != "SHUT") {
    const auto message = wire::decode_return_message(answers);
    ASSERT_TRUE(message.has_value()) << message.error().what();
    names.emplace_back(wire::name_of(*message));
    EXPECT_TRUE(!std::holds_alternative<wire::Shut>(*message) || std::get<wire::Shut>(*message).status == 0);
  }
  // PING 1 to 4; what is asked for in between depends on who is faster.
  EXPECT_EQ(std::ranges::count(names, "PONG"), 4);
  recorder.wait_for("completed");
  EXPECT_EQ(guest.run_state(), RunState::running);
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, set_b().data(), 16 << 20), 0);
}

}  // namespace
}  // namespace godwit::engine

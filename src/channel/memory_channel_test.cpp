#include "channel/memory_channel.h"

#include "channel/test_support.h"

namespace godwit::channel {
namespace {

using MemoryChannelTest = ChannelTest;

TEST_F(MemoryChannelTest, CutsAfterSoManyBytes) {
  for (const std::uint64_t limit : {0U, 1U, 999U, 1000U}) {
    auto pair = make_memory_channels(100'000);
    pair.first->inject({.cut_after = limit});
    const Bytes bytes = random_bytes(1000, 1);
    EXPECT_EQ(pair.first->write(bytes).has_value(), limit == 1000);
    EXPECT_EQ(pair.first->written(), limit);
    EXPECT_EQ(pair.first->write(bytes).error().what(), "Unable to write to socket: Broken pipe");
    Bytes received(2000);
    if (limit != 0) {
      ASSERT_EQ(pair.second->read(received).value(), limit);
    }
    EXPECT_FALSE(pair.second->read(received).has_value());
    EXPECT_FALSE(pair.second->write(bytes).has_value());
    EXPECT_FALSE(pair.first->wait_for_peer_close(std::chrono::seconds(1)).has_value());
  }
}

TEST_F(MemoryChannelTest, StallsUntilReleased) {
  auto pair = make_memory_channels(100'000);
  pair.first->inject({.stall_after = 10});
  Result<> written;
  BlockedCall call([&] { written = pair.first->write(random_bytes(1000, 2)); });
  call.wait_until_asleep();
  EXPECT_EQ(pair.first->written(), 10U);
  pair.first->release_stall();
  call.join();
  EXPECT_TRUE(written.has_value());
  EXPECT_EQ(pair.first->written(), 1000U);
}

TEST_F(MemoryChannelTest, AStalledWriterCanBeShutDown) {
  auto pair = make_memory_channels(100'000);
  pair.first->inject({.stall_after = 0});
  std::string error;
  BlockedCall call([&] { error = pair.first->write(random_bytes(1, 3)).error().what(); });
  call.wait_until_asleep();
  pair.first->shutdown();
  call.join();
  EXPECT_EQ(error, "The channel was shut down");
}

TEST_F(MemoryChannelTest, AnswersWhatItWasTold) {
  auto pair = make_memory_channels(10, false, false);
  EXPECT_FALSE(pair.first->two_way());
  EXPECT_FALSE(pair.second->multi_channel());
}

}  // namespace
}  // namespace godwit::channel

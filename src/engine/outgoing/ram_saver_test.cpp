#include "engine/outgoing/ram_saver.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "channel/memory_channel.h"
#include "engine/testing/fake_guest.h"

namespace godwit::engine {
namespace {

constexpr std::uint64_t pages = 512;

class RamSaverTest : public ::testing::Test {
 protected:
  RamSaverTest() {
    for (std::uint64_t page = 0; page < pages; ++page) guest.write(0, page, 1);
    EXPECT_TRUE(saver.start());
  }
  /// One batch of the most pages it can have.
  void send_batch() {
    const std::uint64_t least_left = remaining_pages() - std::min(remaining_pages(), PageBatch::capacity);
    const SliceLimits limits = {.bytes_left = [&] { return (remaining_pages() - least_left) * page_size; },
                                .expired = [] { return false; }};
    ASSERT_TRUE(saver.send_slice(out, limits).has_value());
  }
  std::uint64_t look() { return saver.look().value(); }
  std::uint64_t remaining_pages() const { return saver.remaining_bytes() / page_size; }

  testing::FakeGuest guest{{{"ram", pages}}};
  Settings settings;
  Statistics statistics;
  channel::MemoryChannelPair channels = channel::make_memory_channels(4 * pages * page_size);
  Lanes lanes{guest, settings.capabilities(), settings, statistics};
  RamSaver saver{guest.ram_blocks(), guest.tracker, lanes, statistics.ram, false};
  StreamWriter out{*channels.first};
};

TEST_F(RamSaverTest, ALookFindsWhatWasSentAndIsWrittenAgain) {
  send_batch();
  ASSERT_EQ(remaining_pages(), pages - PageBatch::capacity);
  EXPECT_EQ(look(), 0u);
  guest.write(0, 10, 2);
  guest.write(0, pages - 1, 2);  // is still to come anyway
  EXPECT_EQ(look(), 1u);
  EXPECT_EQ(remaining_pages(), pages - PageBatch::capacity + 1);
  guest.write(0, 10, 3);
  EXPECT_EQ(look(), 1u) << "how fast it writes, not how much there is to send";
  EXPECT_EQ(remaining_pages(), pages - PageBatch::capacity + 1);
}

TEST_F(RamSaverTest, AfterTheFirstPassALookFindsEverything) {
  send_batch();
  guest.write(0, 10, 2);
  look();
  send_batch();
  ASSERT_EQ(remaining_pages(), 1u);
  send_batch();
  ASSERT_EQ(remaining_pages(), 0u);
  EXPECT_FALSE(saver.first_pass());
  guest.write(0, 5, 2);
  guest.write(0, pages - 1, 2);
  EXPECT_EQ(look(), 2u);
  EXPECT_EQ(remaining_pages(), 2u);
  guest.write(0, 5, 3);  // or the tracker only says so again
  EXPECT_EQ(look(), 0u);
  EXPECT_EQ(remaining_pages(), 2u);
}

}  // namespace
}  // namespace godwit::engine

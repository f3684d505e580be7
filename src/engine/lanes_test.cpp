// Guests move over every lane, and what is wrong with its channels ends an attempt on both sides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "channel/listener.h"
#include "engine/testing/lanes_pair.h"

namespace godwit::engine {
namespace {

using testing::BlockSize;
using testing::FakeGuest;
using testing::Host;
using testing::kBlocks;
using testing::LanesTest;
using testing::Pair;
using enum schema::MigrationCapability;
using ::testing::HasSubstr;

struct MultifdCase {
  std::uint8_t channels;
  schema::MultiFDCompression compression;
};

class MultifdTest : public LanesTest, public ::testing::WithParamInterface<MultifdCase> {};

TEST_P(MultifdTest, AGuestMovesWhileItWrites) {
  Pair pair;
  pair.set(multifd);
  schema::MigrateSetParameters parameters;
  parameters.multifd_channels = GetParam().channels;
  parameters.multifd_compression = GetParam().compression;
  pair.set(parameters);
  pair.write_meanwhile(6);
  const auto info = move(pair);
  EXPECT_GE(info.ram->normal, 640);
  EXPECT_GE(info.ram->duplicate, 161);
  // SYNC packets alone are as many as there are end marks.
  EXPECT_GE(info.ram->multifd_bytes, 3u * 1344 * GetParam().channels);
  if (GetParam().compression == schema::MultiFDCompression::none)
    EXPECT_GT(info.ram->multifd_bytes, static_cast<std::uint64_t>(info.ram->normal_bytes));
  else
    EXPECT_LT(info.ram->multifd_bytes,
              static_cast<std::uint64_t>(info.ram->normal_bytes) / 2 + 20u * 1344 * GetParam().channels);
  // Zero pages and the order of things are on the main channel.
  const auto on_channels = static_cast<std::int64_t>(info.ram->multifd_bytes);
  EXPECT_GT(info.ram->transferred, on_channels);
  EXPECT_LT(info.ram->transferred - on_channels, info.ram->total / 10);
}

INSTANTIATE_TEST_SUITE_P(Lanes, MultifdTest,
                         ::testing::Values(MultifdCase{1, schema::MultiFDCompression::none},
                                           MultifdCase{2, schema::MultiFDCompression::none},
                                           MultifdCase{255, schema::MultiFDCompression::none},
                                           MultifdCase{2, schema::MultiFDCompression::zlib},
                                           MultifdCase{3, schema::MultiFDCompression::zstd}),
                         [](const auto& instance) {
                           return std::string(schema::to_string(instance.param.compression)) +
                                  std::to_string(instance.param.channels);
                         });

TEST_F(LanesTest, MultifdWithAReturnPath) {
  Pair pair;
  pair.set(multifd);
  pair.source.set(return_path);
  move(pair);
}

TEST_F(LanesTest, MultifdWithoutACopyWhereTheKernelCan) {
  Pair pair;
  pair.set(multifd);
  pair.source.set(zero_copy_send);
  pair.write_meanwhile(4);
  const auto info = move(pair);
  // A unix socket cannot, and each synchronisation says so.
  EXPECT_GT(info.ram->dirty_sync_missed_zero_copy, 0u);
  schema::MigrateSetParameters parameters;
  parameters.multifd_compression = schema::MultiFDCompression::zlib;
  EXPECT_EQ(pair.source.migration.set_parameters(parameters).error().what(),
            "Zero copy only available for non-compressed non-TLS multifd migration");
}

TEST_F(LanesTest, MultifdWithUuid) {
  Pair pair;
  pair.set(multifd);
  pair.source.guest.own_uuid = pair.destination.guest.own_uuid = Uuid{1, 2, 3};
  move(pair);
}

TEST_F(LanesTest, MultifdCancelledAndStartedAgain) {
  Pair pair;
  pair.set(multifd);
  pair.source.set(pause_before_switchover);
  pair.write_meanwhile(1000);
  listen(pair.destination);
  ASSERT_TRUE(pair.source.migrate(uri_).has_value());
  pair.source.recorder.wait_for("pre-switchover");
  pair.source.migration.cancel();
  pair.source.recorder.wait_for("cancelled");
  pair.destination.recorder.wait_for("exit 1");
  EXPECT_EQ(pair.source.guest.run_state(), RunState::running);

  Host destination(kBlocks, RunState::inmigrate);
  destination.set(multifd);
  pair.source.set(pause_before_switchover, false);
  uri_ += "2";
  listen(destination);
  ASSERT_TRUE(pair.source.migrate(uri_).has_value());
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(pair.source.guest.same_memory(destination.guest));
}

TEST_F(LanesTest, MultifdRefusesAnotherGuestsChannelAndTheSourceGoesOn) {
  Pair pair;
  pair.set(multifd);
  pair.source.set(return_path);  // else so small a guest may be given away before it is refused
  pair.source.guest.own_uuid = Uuid{1};
  pair.destination.guest.own_uuid = Uuid{2};
  listen(pair.destination);
  ASSERT_TRUE(pair.source.migrate(uri_).has_value());
  pair.destination.recorder.wait_for("exit 1");
  pair.source.recorder.wait_for("failed");
  EXPECT_THAT(pair.destination.recorder.failure(), HasSubstr("is of a guest with another UUID"));
  pair.source.migration.wait_until_idle();
  EXPECT_EQ(pair.source.guest.run_state(), RunState::running);
  EXPECT_FALSE(pair.source.guest.tracker.running());
}

TEST_F(LanesTest, MultifdRefusesMoreChannelsThanExpected) {
  Pair pair;
  pair.set(multifd);
  schema::MigrateSetParameters parameters;
  parameters.multifd_channels = 1;
  ASSERT_TRUE(pair.destination.migration.set_parameters(parameters).has_value());
  listen(pair.destination);
  // Channel 1 of 2 first: whatever the timing, it is not welcome.
  const auto main = connect();
  begin_stream(*main);
  const auto channel = connect();
  introduce(*channel, 1);
  pair.destination.recorder.wait_for("exit 1");
  EXPECT_THAT(pair.destination.recorder.failure(), HasSubstr("multifd channel 1 arrives, 1 are expected"));
}

TEST_F(LanesTest, MultifdRefusesAChannelThatArrivesTwice) {
  Pair pair;
  pair.set(multifd);
  listen(pair.destination);
  const auto first = connect();
  introduce(*first, 1);
  const auto second = connect();
  introduce(*second, 1);
  pair.destination.recorder.wait_for("exit 1");
  EXPECT_THAT(pair.destination.recorder.failure(), HasSubstr("multifd channel 1 arrives twice"));
}

TEST_F(LanesTest, MultifdRefusesTwoMainChannels) {
  Pair pair;
  pair.set(multifd);
  listen(pair.destination);
  const auto first = connect();
  begin_stream(*first);
  const auto second = connect();
  begin_stream(*second);
  pair.destination.recorder.wait_for("exit 1");
  EXPECT_THAT(pair.destination.recorder.failure(), HasSubstr("second main channel"));
}

TEST_F(LanesTest, MultifdDoesNotCountAConnectionThatShowsNothing) {
  Pair pair;
  pair.set(multifd);
  listen(pair.destination);
  connect();
  ASSERT_TRUE(pair.source.migrate(uri_).has_value());
  pair.finish();
  EXPECT_TRUE(pair.source.guest.same_memory(pair.destination.guest));
}

TEST_F(LanesTest, MultifdRefusesPagesBeforeTheListOfBlocks) {
  Pair pair;
  pair.set(multifd);
  listen(pair.destination);
  const auto main = connect();
  begin_stream(*main);
  const auto first = connect();
  introduce(*first, 0);
  const auto second = connect();
  introduce(*second, 1);
  wire::MultifdPacket packet;
  packet.set_block("low");
  packet.normal_pages = 1;
  packet.data_size = 4096;
  std::array<std::byte, wire::MultifdPacket::header_size> header;
  wire::encode_multifd_packet(packet, header);
  ASSERT_TRUE(second->write(header));
  pair.destination.recorder.wait_for("exit 1");
  EXPECT_THAT(pair.destination.recorder.failure(),
              HasSubstr("multifd channel 1: pages arrive before the list of RAM blocks"));
}

const std::vector<BlockSize> kLarge = {{"ram", 8192}};

TEST_F(LanesTest, ADestinationWithoutMultifdEndsTheAttempt) {
  // It closes the channels, which are no streams to it. Where their pages are few, they went into the sockets
  // before, and only a last look at the channels tells.
  for (const std::uint64_t pages : {8, 800}) {
    for (int i = 0; i < 20; ++i) {
      Pair pair({{"ram", pages}});
      pair.source.set(multifd);
      pair.set(return_path);
      listen(pair.destination);
      ASSERT_TRUE(pair.source.migrate(uri_).has_value());
      pair.source.recorder.wait_for("failed");
      EXPECT_EQ(pair.source.guest.run_state(), RunState::running);
    }
  }
}

/// A destination that takes all connections of a source and reads nothing.
class DeafDestination {
 public:
  explicit DeafDestination(const std::string& uri, int connections) {
    const auto address = channel::parse_address(uri, channel::Direction::incoming);
    NoDescriptors none;
    listener_ = channel::listen(*address, none, connections).value();
  }
  void accept(int connections) {
    for (int i = 0; i < connections; ++i) channels_.push_back(listener_->accept().value());
  }
  std::vector<std::unique_ptr<channel::Channel>>& channels() { return channels_; }

 private:
  std::unique_ptr<channel::Listener> listener_;
  std::vector<std::unique_ptr<channel::Channel>> channels_;
};

TEST_F(LanesTest, ADeadChannelEndsTheAttemptAndTheGuestRunsOn) {
  Pair pair(kLarge);
  pair.source.set(multifd);
  DeafDestination destination(uri_, 3);
  ASSERT_TRUE(pair.source.migrate(uri_).has_value());
  destination.accept(3);
  pair.source.recorder.wait_for("active");
  destination.channels()[2]->shutdown();
  pair.source.recorder.wait_for("failed");
  EXPECT_THAT(*pair.source.migration.info().error_desc, HasSubstr("Unable to write to socket"));
  EXPECT_EQ(pair.source.guest.run_state(), RunState::running);
  EXPECT_FALSE(pair.source.guest.tracker.running());
}

TEST_F(LanesTest, AStalledChannelCanBeGivenUp) {
  Pair pair(kLarge);
  pair.source.set(multifd);
  DeafDestination destination(uri_, 3);
  ASSERT_TRUE(pair.source.migrate(uri_).has_value());
  destination.accept(3);
  pair.source.recorder.wait_for("active");
  pair.source.migration.cancel();
  pair.source.recorder.wait_for("cancelled");
  EXPECT_EQ(pair.source.guest.run_state(), RunState::running);
}

TEST_F(LanesTest, MultifdNeedsATransportOfSeveralConnections) {
  Pair pair;
  pair.source.set(multifd);
  ASSERT_TRUE(pair.source.migrate("exec:cat > /dev/null").has_value());
  pair.source.recorder.wait_for("failed");
  EXPECT_EQ(*pair.source.migration.info().error_desc, "multifd is not supported by current protocol");
}

TEST_F(LanesTest, XbzrleSendsWhatChanged) {
  Pair pair;
  pair.source.set(xbzrle);
  pair.write_meanwhile(6);
  const auto info = move(pair);
  const auto& figures = *info.xbzrle_cache;
  EXPECT_EQ(figures.cache_size, 64u << 20);
  EXPECT_GT(figures.cache_miss, 200);  // the second pass has nothing to start from
  EXPECT_GT(figures.pages, 800);
  EXPECT_GT(figures.bytes, 0);
  EXPECT_LT(figures.bytes, figures.pages * 40 + figures.overflow * 4096);
}

TEST_F(LanesTest, XbzrleWithOneSlotAndResizedMeanwhile) {
  Pair pair;
  pair.source.set(xbzrle);
  schema::MigrateSetParameters parameters;
  parameters.xbzrle_cache_size = 4096;
  pair.set(parameters);
  pair.write_meanwhile(8);
  auto meanwhile = std::move(pair.source.guest.tracker.on_collect);
  int round = 0;
  pair.source.guest.tracker.on_collect = [&] {
    schema::MigrateSetParameters change;
    change.xbzrle_cache_size = 4096u << (++round % 14);
    EXPECT_TRUE(pair.source.migration.set_parameters(change).has_value());
    meanwhile();
  };
  move(pair);
}

TEST_F(LanesTest, CompressedPages) {
  for (const bool wait : {true, false}) {
    Pair pair;
    pair.set(compress);
    schema::MigrateSetParameters parameters;
    parameters.compress_threads = 3;
    parameters.compress_level = 6;
    parameters.compress_wait_thread = wait;
    pair.set(parameters);
    pair.write_meanwhile(6);
    const auto info = move(pair);
    const auto& figures = *info.compression;
    if (wait) {
      EXPECT_EQ(figures.busy, 0);  // else it depends on how fast the threads are
    }
    EXPECT_GT(figures.pages, 0);
    EXPECT_GT(figures.compressed_size, figures.pages * 12);
    EXPECT_LT(figures.compressed_size, figures.pages * 4100);
    EXPECT_GE(info.ram->normal,
              2);  // the first page of each block but the small one, and what does not shrink
    uri_ += "2";
  }
}

TEST_F(LanesTest, CompressedPagesAndDeltas) {
  Pair pair;
  pair.set(compress);
  pair.source.set(xbzrle);
  pair.write_meanwhile(6);
  const auto info = move(pair);
  EXPECT_GT(info.compression->pages, 0);
  EXPECT_GT(info.xbzrle_cache->pages, 0);
}

TEST_F(LanesTest, ADestinationWithoutCompressRefusesCompressedPages) {
  Pair pair;
  pair.source.set(compress);
  pair.source.set(return_path);
  listen(pair.destination);
  ASSERT_TRUE(pair.source.migrate(uri_).has_value());
  pair.destination.recorder.wait_for("exit 1");
  pair.source.recorder.wait_for("failed");
  EXPECT_THAT(pair.destination.recorder.failure(), HasSubstr("set the capability 'compress' on both sides"));
  EXPECT_EQ(pair.source.guest.run_state(), RunState::running);
}

}  // namespace
}  // namespace godwit::engine

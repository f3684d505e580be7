#include "channel/channel_input.h"

#include <cstring>

#include "channel/memory_channel.h"
#include "channel/socket_channel.h"
#include "channel/test_support.h"

namespace godwit::channel {
namespace {

using ChannelInputTest = ChannelTest;

/// One random call, made on both inputs: they must agree on result, bytes and offset.
void same_call(Input& tested, Input& model, std::mt19937& random) {
  const std::size_t size = random() % (random() % 8 == 0 ? 400'000 : 5000);
  switch (random() % 6) {
    case 0: {
      const auto a = tested.be32();
      const auto b = model.be32();
      ASSERT_EQ(a.has_value(), b.has_value());
      ASSERT_EQ(a.value_or(0), b.value_or(0));
      break;
    }
    case 1: {
      const auto count = std::min(size, Input::window_limit);
      const auto a = tested.need(count);
      const auto b = model.need(count);
      ASSERT_EQ(a.has_value(), b.has_value());
      if (!a) break;
      ASSERT_TRUE(std::equal(a->begin(), a->end(), b->begin()));
      const auto used = count ? random() % (count + 1) : 0;
      tested.skip(used);
      model.skip(used);
      break;
    }
    case 2: {
      ASSERT_EQ(tested.discard(size).has_value(), model.discard(size).has_value());
      break;
    }
    case 3: {
      const auto a = tested.counted_text();
      const auto b = model.counted_text();
      ASSERT_EQ(a.has_value(), b.has_value());
      ASSERT_EQ(a.value_or(""), b.value_or(""));
      break;
    }
    default: {
      Bytes a(size);
      Bytes b(size);
      ASSERT_EQ(tested.read(a).has_value(), model.read(b).has_value());
      ASSERT_TRUE(a == b);
    }
  }
  ASSERT_EQ(tested.offset(), model.offset());
}

TEST_F(ChannelInputTest, FetchesNoMoreThanItWasTold) {
  auto pair = make_memory_channels(100'000);
  ASSERT_TRUE(pair.first->write(random_bytes(50'000, 1)).has_value());
  ChannelInput in(*pair.second);
  in.read_at_most(10'000);
  ASSERT_TRUE(in.need(100).has_value());
  EXPECT_EQ(in.window().size(), 10'000u);
  ASSERT_TRUE(in.need(25'000).has_value());  // asked for: not held back
  EXPECT_EQ(in.window().size(), 25'000u);
}

TEST_F(ChannelInputTest, FetchesWhatIsThereWithoutWaiting) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  SocketChannel source(UniqueFd(ends[0]), "source", SocketChannel::Origin::own);
  SocketChannel destination(UniqueFd(ends[1]), "destination", SocketChannel::Origin::own);
  ChannelInput in(destination);
  in.read_at_most(1000);
  EXPECT_FALSE(in.fetch());
  ASSERT_TRUE(source.write(random_bytes(1500, 1)).has_value());
  EXPECT_TRUE(in.fetch());
  EXPECT_EQ(in.window().size(), 1000u);
  EXPECT_EQ(in.offset(), 0u);
  const auto reads = in.reads();
  EXPECT_TRUE(in.fetch());  // something is left to decode
  EXPECT_EQ(in.reads(), reads);
  in.skip(1000);
  EXPECT_TRUE(in.fetch());
  EXPECT_EQ(in.window().size(), 500u);
  EXPECT_EQ(in.offset(), 1000u);
  in.skip(500);
  ASSERT_TRUE(source.finish_writing().has_value());
  EXPECT_FALSE(in.fetch());  // the end is for who reads
  const auto end = in.need(1);
  ASSERT_FALSE(end.has_value());
  EXPECT_THAT(end.error().what(), testing::HasSubstr("0x5dc"));
  destination.shutdown();
  EXPECT_FALSE(in.fetch());
}

TEST_F(ChannelInputTest, AgreesWithABufferInMemory) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const Bytes bytes = random_bytes(1 + random() % 3'000'000, seed);
    auto pair = make_memory_channels(1 + random() % 300'000);
    const auto writer = start_thread("writer", [&](const std::stop_token&) {
      // The reader may leave early, at the first call that it cannot satisfy.
      if (!write_randomly(*pair.first, bytes, seed)) return;
      EXPECT_TRUE(pair.first->finish_writing().has_value());
    });
    ChannelInput tested(*pair.second, Input::window_limit + random() % 300'000);
    if (seed % 2 == 0) tested.read_at_most(1 + random() % 100'000);
    SpanInput model(bytes);
    for (int call = 0; call < 2000 && model.offset() < bytes.size() && !HasFatalFailure(); ++call) {
      // Past the end both fail, but they may have consumed differently much: that is the last comparable
      // call.
      if (bytes.size() - model.offset() < 400'000) break;
      same_call(tested, model, random);
    }
    Bytes rest(bytes.size() - model.offset());
    ASSERT_TRUE(tested.read(rest).has_value());
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), bytes.end() - static_cast<std::ptrdiff_t>(rest.size())));
    EXPECT_TRUE(tested.at_end().value());
    EXPECT_EQ(tested.offset(), bytes.size());
    pair.second->shutdown();
  }
}

TEST_F(ChannelInputTest, PagesCostLittle) {
  constexpr std::size_t pages = 5000;
  constexpr std::size_t page = 4096;
  const Bytes bytes = random_bytes(pages * (8 + page), 1);
  std::ofstream(path("f"), std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  auto channel = *(*listen_on("file:" + path("f")))->accept();
  ChannelInput input(*channel);
  Bytes received(page);
  for (std::size_t i = 0; i < pages; ++i) {
    ASSERT_TRUE(input.be64().has_value());
    ASSERT_TRUE(input.read(received).has_value());
    ASSERT_TRUE(std::equal(received.begin(), received.end(),
                           bytes.begin() + static_cast<std::ptrdiff_t>(i * (8 + page) + 8)));
  }
  EXPECT_TRUE(input.at_end().value());
  EXPECT_LE(input.reads(), bytes.size() / ChannelInput::default_window + 3);
}

TEST_F(ChannelInputTest, LargeReadsGoStraightToTheirPlace) {
  const Bytes bytes = random_bytes(20 * mebibyte, 2);
  std::ofstream(path("f"), std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  auto channel = *(*listen_on("file:" + path("f")))->accept();
  ChannelInput input(*channel);
  Bytes received(bytes.size());
  ASSERT_TRUE(input.u8().has_value());
  ASSERT_TRUE(input.read(std::span(received).subspan(1)).has_value());
  EXPECT_EQ(input.reads(), 2U);  // the window, and all the rest
  received[0] = bytes[0];
  EXPECT_TRUE(received == bytes);
}

TEST_F(ChannelInputTest, NamesTheOffsetWhereTheStreamEnds) {
  auto pair = make_memory_channels();
  ASSERT_TRUE(pair.first->write(random_bytes(10, 3)).has_value());
  ASSERT_TRUE(pair.first->finish_writing().has_value());
  ChannelInput input(*pair.second);
  ASSERT_TRUE(input.be64().has_value());
  const auto missing = input.be32();
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().what(), ::testing::HasSubstr("expected 4 bytes at offset 0x8"));
  EXPECT_EQ(input.offset(), 8U);
  Bytes more(100);
  const auto cut = input.read(more);
  ASSERT_FALSE(cut.has_value());
  EXPECT_THAT(cut.error().what(), ::testing::HasSubstr("expected 100 bytes at offset 0x8"));
}

TEST_F(ChannelInputTest, ABrokenConnectionIsNotTheEndOfTheStream) {
  auto pair = make_memory_channels();
  pair.first->inject({.cut_after = 10});
  EXPECT_FALSE(pair.first->write(random_bytes(20, 4)).has_value());
  ChannelInput input(*pair.second);
  ASSERT_TRUE(input.be64().has_value());
  EXPECT_EQ(input.be32().error().what(), "Unable to read from socket: Connection reset by peer");
  Bytes more(100);
  EXPECT_EQ(input.read(more).error().what(), "Unable to read from socket: Connection reset by peer");
}

TEST_F(ChannelInputTest, TheLargestNeedAlwaysFits) {
  const Bytes bytes = random_bytes(3 * Input::window_limit, 5);
  auto pair = make_memory_channels(4 * Input::window_limit);
  ASSERT_TRUE(pair.first->write(bytes).has_value());
  ChannelInput input(*pair.second, 1);  // asks for less than there must be
  ASSERT_TRUE(input.be32().has_value());
  const auto window = input.need(Input::window_limit);
  ASSERT_TRUE(window.has_value());
  EXPECT_TRUE(std::equal(window->begin(), window->end(), bytes.begin() + 4));
}

}  // namespace
}  // namespace godwit::channel

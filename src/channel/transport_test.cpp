// The same promises, kept by every transport that can be joined to itself in one process.
#include <array>
#include <csignal>
#include <cstring>
#include <sys/stat.h>

#include "channel/memory_channel.h"
#include "channel/test_support.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

enum class Transport { tcp4, tcp6, unix_socket, socketpair, pipe, memory };

std::string transport_name(const ::testing::TestParamInfo<Transport>& info) {
  switch (info.param) {
    case Transport::tcp4:
      return "tcp4";
    case Transport::tcp6:
      return "tcp6";
    case Transport::unix_socket:
      return "unix";
    case Transport::socketpair:
      return "socketpair";
    case Transport::pipe:
      return "pipe";
    case Transport::memory:
      return "memory";
  }
  return "unknown";
}

class TransportTest : public ChannelTest, public ::testing::WithParamInterface<Transport> {
 protected:
  bool is_socket() const { return GetParam() != Transport::pipe; }

  ConnectedPair make_pair() {
    switch (GetParam()) {
      case Transport::tcp4:
        return connect_through("tcp:127.0.0.1:0");
      case Transport::tcp6:
        return connect_through("tcp:[::1]:0");
      case Transport::unix_socket:
        return connect_through("unix:" + path("s"));
      case Transport::memory: {
        auto pair = make_memory_channels();
        return {std::move(pair.first), std::move(pair.second)};
      }
      default:
        return connect_descriptors();
    }
  }

 private:
  ConnectedPair connect_through(const std::string& uri) {
    auto listener = listen_on(uri);
    if (!listener) {
      ADD_FAILURE() << listener.error().what();
      return {};
    }
    auto source = connect_to(uri_of((*listener)->addresses().front()));
    auto destination = (*listener)->accept();
    EXPECT_TRUE(source && destination);
    return {*std::move(source), *std::move(destination)};
  }

  ConnectedPair connect_descriptors() {
    int ends[2];
    if (GetParam() == Transport::pipe) {
      EXPECT_EQ(::pipe(ends), 0);
    } else {
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    }
    descriptors_.named["in"] = UniqueFd(ends[0]);
    descriptors_.named["out"] = UniqueFd(ends[1]);
    auto source = connect_to("fd:out");
    auto destination = (*listen_on("fd:in"))->accept();
    EXPECT_TRUE(source && destination);
    return {*std::move(source), *std::move(destination)};
  }
};

class TwoWayTransportTest : public TransportTest {};

TEST_P(TransportTest, CarriesEveryByteWhateverTheShapeOfTheCalls) {
  const Bytes sent = random_bytes(24 * mebibyte + 13, 1);
  auto pair = make_pair();
  Result<> written;
  {
    const auto writer = start_thread("writer", [&](const std::stop_token&) {
      written = write_randomly(*pair.source, sent, 2);
      if (written) written = pair.source->finish_writing();
    });
    const auto received = read_randomly(*pair.destination, sent.size(), 3);
    ASSERT_TRUE(received.has_value()) << received.error().what();
    EXPECT_TRUE(*received == sent);
  }
  EXPECT_TRUE(written.has_value()) << written.error().what();
}

TEST_P(TwoWayTransportTest, CarriesBothDirectionsAtOnce) {
  const Bytes there = random_bytes(8 * mebibyte, 4);
  const Bytes back = random_bytes(8 * mebibyte - 1, 5);
  auto pair = make_pair();
  EXPECT_TRUE(pair.source->two_way());
  Result<Bytes> got_back;
  Result<Bytes> got_there;
  {
    auto write_to = [](Channel& channel, const Bytes& bytes) {
      return start_thread("writer", [&](const std::stop_token&) {
        EXPECT_TRUE(write_randomly(channel, bytes, 6).has_value());
        EXPECT_TRUE(channel.finish_writing().has_value());
      });
    };
    const auto first = write_to(*pair.source, there);
    const auto second = write_to(*pair.destination, back);
    const auto reader = start_thread(
        "reader", [&](const std::stop_token&) { got_back = read_randomly(*pair.source, back.size(), 7); });
    got_there = read_randomly(*pair.destination, there.size(), 8);
  }
  EXPECT_TRUE(got_there && *got_there == there);
  EXPECT_TRUE(got_back && *got_back == back);
}

TEST_P(TransportTest, WhatIsThereIsReadWithoutWaiting) {
  auto pair = make_pair();
  Channel& destination = *pair.destination;
  Bytes bytes(100);
  EXPECT_EQ(destination.read_what_is_there(bytes), 0U);
  const Bytes sent = random_bytes(5, 9);
  ASSERT_TRUE(pair.source->write(sent).has_value());
  const bool can_say = GetParam() != Transport::pipe && GetParam() != Transport::memory;
  if (can_say) {
    pollfd entry{destination.read_descriptor(), POLLIN, 0};
    ASSERT_TRUE(
        wait_for_any({&entry, 1}, std::chrono::steady_clock::now() + std::chrono::seconds(10)).value());
    ASSERT_EQ(destination.read_what_is_there(bytes), 5U);
  } else {
    EXPECT_EQ(destination.read_what_is_there(bytes), 0U);
    ASSERT_EQ(destination.read(bytes).value(), 5U);
  }
  EXPECT_TRUE(std::equal(sent.begin(), sent.end(), bytes.begin()));
  ASSERT_TRUE(pair.source->finish_writing().has_value());
  EXPECT_EQ(destination.read_what_is_there(bytes), 0U);
  EXPECT_EQ(destination.read(bytes).value(), 0U);
}

TEST_P(TransportTest, EndOfStreamIsZeroAgainAndAgain) {
  auto pair = make_pair();
  ASSERT_TRUE(pair.source->write(random_bytes(5, 9)).has_value());
  ASSERT_TRUE(pair.source->finish_writing().has_value());
  Bytes bytes(100);
  EXPECT_EQ(pair.destination->read(bytes).value(), 5U);
  EXPECT_EQ(pair.destination->read(bytes).value(), 0U);
  EXPECT_EQ(pair.destination->read(bytes).value(), 0U);
}

TEST_P(TransportTest, BytesMayBeLentToTheKernel) {
  Bytes sent = random_bytes(8 * mebibyte, 1);
  auto pair = make_pair();
  Result<> written;
  Result<bool> finished;
  {
    const auto writer = start_thread("writer", [&](const std::stop_token&) {
      const std::array parts{iovec{sent.data(), 5000}, iovec{sent.data() + 5000, sent.size() - 5000}};
      written = pair.source->write_zero_copy(parts);
      if (written) finished = pair.source->finish_zero_copy();
      if (finished) written = pair.source->finish_writing();
    });
    const auto received = read_randomly(*pair.destination, sent.size(), 3);
    ASSERT_TRUE(received.has_value()) << received.error().what();
    EXPECT_TRUE(*received == sent);
  }
  EXPECT_TRUE(written.has_value()) << written.error().what();
  EXPECT_TRUE(finished.has_value()) << finished.error().what();  // copied or not: the kernel may choose
}

TEST_P(TransportTest, EmptyCallsDoNothing) {
  auto pair = make_pair();
  EXPECT_TRUE(pair.source->write(std::span<const std::byte>()).has_value());
  EXPECT_TRUE(pair.source->write(std::span<const iovec>()).has_value());
  EXPECT_EQ(pair.destination->read(std::span<std::byte>()).value(), 0U);
}

TEST_P(TransportTest, ShutdownWakesABlockedReader) {
  auto pair = make_pair();
  std::string error;
  BlockedCall call([&] {
    Bytes bytes(10);
    const auto got = pair.destination->read(bytes);
    error = got ? "no error" : got.error().what();
  });
  call.wait_until_asleep();
  pair.destination->shutdown();
  call.join();
  EXPECT_EQ(error, "The channel was shut down");
  Bytes bytes(10);
  EXPECT_FALSE(pair.destination->read(bytes).has_value());
  EXPECT_FALSE(pair.destination->wait_for_peer_close(std::chrono::seconds(10)).has_value());
}

TEST_P(TransportTest, ShutdownWakesABlockedWriter) {
  auto pair = make_pair();
  const Bytes bytes(64 * mebibyte);
  std::string error;
  BlockedCall call([&] {
    const auto written = pair.source->write(bytes);
    error = written ? "no error" : written.error().what();
  });
  call.wait_until_asleep();
  pair.source->shutdown();
  call.join();
  EXPECT_EQ(error, "The channel was shut down");
  EXPECT_EQ(pair.source->write(bytes).error().what(), "The channel was shut down");
  EXPECT_EQ(pair.source->finish_writing().error().what(), "The channel was shut down");
}

TEST_P(TransportTest, ShutdownWakesAWaitForThePeer) {
  auto pair = make_pair();
  std::string error;
  BlockedCall call([&] {
    const auto closed = pair.destination->wait_for_peer_close(std::chrono::hours(1));
    error = closed ? "no error" : closed.error().what();
  });
  call.wait_until_asleep();
  pair.destination->shutdown();
  call.join();
  EXPECT_EQ(error, "The channel was shut down");
}

TEST_P(TransportTest, TheOtherEndSeesAShutdownAsTheEnd) {
  auto pair = make_pair();
  pair.destination->shutdown();
  if (is_socket()) {
    Bytes bytes(10);
    EXPECT_EQ(pair.source->read(bytes).value(), 0U);
  }
  pair.destination.reset();
  const Bytes bytes(16 * mebibyte);
  // The first write may still meet a kernel that has not heard of it.
  Result<> written = pair.source->write(bytes);
  if (written) written = pair.source->write(bytes);
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(
      written.error().what(),
      ::testing::AnyOf("Unable to write to socket: Broken pipe", "Unable to write to pipe: Broken pipe",
                       "Unable to write to socket: Connection reset by peer"));
}

TEST_P(TransportTest, ABrokenPipeRaisesNoSignal) {
  ASSERT_EQ(::signal(SIGPIPE, SIG_DFL), SIG_DFL);
  auto pair = make_pair();
  pair.destination.reset();
  const Bytes bytes(16 * mebibyte);
  while (pair.source->write(bytes)) {
  }
  sigset_t pending;
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST_P(TransportTest, WaitsForThePeerToClose) {
  auto pair = make_pair();
  EXPECT_FALSE(pair.destination->wait_for_peer_close(std::chrono::milliseconds(1)).value());
  ASSERT_TRUE(pair.source->write(random_bytes(1000, 10)).has_value());  // dropped
  EXPECT_FALSE(pair.destination->wait_for_peer_close(std::chrono::milliseconds(1)).value());
  bool closed = false;
  BlockedCall call([&] { closed = pair.destination->wait_for_peer_close(std::chrono::hours(1)).value(); });
  call.wait_until_asleep();
  ASSERT_TRUE(pair.source->finish_writing().has_value());
  call.join();
  EXPECT_TRUE(closed);
}

TEST_P(TransportTest, APeerThatNeverStopsTalkingDoesNotCountAsClosing) {
  auto pair = make_pair();
  const auto writer = start_thread("writer", [&](const std::stop_token&) {
    const Bytes bytes(100'000);
    while (pair.source->write(bytes)) {
    }
  });
  EXPECT_FALSE(pair.destination->wait_for_peer_close(std::chrono::milliseconds(20)).value());
  pair.source->shutdown();
}

TEST_P(TransportTest, SaysWhatItIs) {
  auto pair = make_pair();
  EXPECT_EQ(pair.source->kind(), is_socket() ? "socket" : "pipe");
  EXPECT_FALSE(pair.source->seekable());
  EXPECT_FALSE(pair.source->peer().empty());
  EXPECT_EQ(pair.source->two_way(), is_socket());
  const bool handed_over = GetParam() == Transport::socketpair || GetParam() == Transport::pipe;
  EXPECT_EQ(pair.source->multi_channel(), !handed_over);
  EXPECT_EQ(pair.destination->multi_channel(), !handed_over);
}

INSTANTIATE_TEST_SUITE_P(All, TransportTest,
                         ::testing::Values(Transport::tcp4, Transport::tcp6, Transport::unix_socket,
                                           Transport::socketpair, Transport::pipe, Transport::memory),
                         transport_name);
INSTANTIATE_TEST_SUITE_P(All, TwoWayTransportTest,
                         ::testing::Values(Transport::tcp4, Transport::tcp6, Transport::unix_socket,
                                           Transport::socketpair, Transport::memory),
                         transport_name);

using Reset = ChannelTest;

TEST_F(Reset, IsAnErrorAndNotTheEnd) {
  auto listener = *listen_on("tcp:127.0.0.1:0");
  auto source = *connect_to(uri_of(listener->addresses().front()));
  auto destination = *listener->accept();
  // Closing with unread bytes makes the kernel answer with a reset.
  ASSERT_TRUE(source->write(random_bytes(100'000, 11)).has_value());
  Bytes one(1);
  ASSERT_TRUE(destination->read(one).has_value());
  destination.reset();
  const auto closed = source->wait_for_peer_close(std::chrono::seconds(60));
  ASSERT_FALSE(closed.has_value());
  EXPECT_EQ(closed.error().what(), "Unable to read from socket: Connection reset by peer");
}

TEST_F(Reset, ASocketThatAFormerOwnerMadeNonBlockingWorksToo) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd kept(::dup(ends[0]));
  descriptors_.named["a"] = UniqueFd(ends[0]);
  descriptors_.named["b"] = UniqueFd(ends[1]);
  auto a = *connect_to("fd:a");
  auto b = *connect_to("fd:b");
  ASSERT_EQ(::fcntl(kept.get(), F_SETFL, O_RDWR | O_NONBLOCK), 0);
  const Bytes sent = random_bytes(20 * mebibyte, 12);
  {
    const auto writer = start_thread("writer", [&](const std::stop_token&) {
      EXPECT_TRUE(a->write(sent).has_value());
      EXPECT_TRUE(a->finish_writing().has_value());
    });
    EXPECT_TRUE(read_randomly(*b, sent.size(), 13).value() == sent);
  }
  std::string error;
  BlockedCall call([&] {
    Bytes bytes(1);
    error = a->read(bytes).error().what();
  });
  call.wait_until_asleep();
  a->shutdown();
  call.join();
  EXPECT_EQ(error, "The channel was shut down");
}

}  // namespace
}  // namespace godwit::channel

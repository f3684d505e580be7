// Who may come in without TLS: a peer that shows what a source shows.
#include "channel/opening.h"

#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "channel/connector.h"
#include "channel/test_support.h"
#include "channel/tls/tls_listener.h"

namespace godwit::channel {
namespace {

const std::string kHeader("QEVM\0\0\0\3", 8);

class OpeningTest : public ::testing::Test {
 protected:
  OpeningTest() {
    char name[] = "/tmp/godwit-opening-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/m";
  }
  ~OpeningTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Listener> listen_for(Opening opening) {
    return make_tls_listener(
        listen(parse_address("unix:" + path_, Direction::incoming).value(), none_, 64).value(),
        []() -> Result<std::optional<TlsServer>> { return std::nullopt; }, [opening] { return opening; });
  }
  std::unique_ptr<Channel> connect_and_say(const std::string& words) {
    auto channel =
        connect(parse_address("unix:" + path_, Direction::outgoing).value(), none_, never_).value();
    EXPECT_TRUE(channel->write(std::as_bytes(std::span(words))).has_value());
    return channel;
  }
  static std::string read(Channel& channel, std::size_t length) {
    std::string text(length, 0);
    const auto got = channel.read(std::as_writable_bytes(std::span(text)));
    text.resize(got.value_or(0));
    return text;
  }

  std::string directory_;
  std::string path_;
  NoDescriptors none_;
  Interrupt never_;
};

TEST_F(OpeningTest, TheOneThatShowsAHeaderComesInBeforeThoseThatDoNot) {
  auto listener = listen_for({.any_of = {kHeader}});
  std::vector<std::unique_ptr<Channel>> strangers;
  Result<std::unique_ptr<Channel>> accepted = fail("not yet");
  std::jthread accepting([&] { accepted = listener->accept(); });
  for (std::size_t i = 0; i < 2 * most_handshakes; ++i) strangers.push_back(connect_and_say(""));
  strangers.push_back(connect_and_say("QEV"));
  auto liar = connect_and_say("GET / HTTP/1.0");
  EXPECT_EQ(read(*liar, 1), "") << "closed at once";
  auto source = connect_and_say(kHeader + "more");
  accepting.join();
  ASSERT_TRUE(accepted);
  EXPECT_EQ(read(**accepted, 100), kHeader + "more") << "nothing of it is lost";
}

TEST_F(OpeningTest, AHeaderMayComeInPieces) {
  auto listener = listen_for({.any_of = {kHeader}});
  Result<std::unique_ptr<Channel>> accepted = fail("not yet");
  std::jthread accepting([&] { accepted = listener->accept(); });
  auto source = connect_and_say(kHeader.substr(0, 3));
  ASSERT_TRUE(source->write(std::as_bytes(std::span(kHeader).subspan(3))).has_value());
  accepting.join();
  ASSERT_TRUE(accepted);
}

TEST_F(OpeningTest, TheConnectionBehindTheSourcesMayBeSilent) {
  auto listener = listen_for({.any_of = {kHeader}, .another_follows_silently = true});
  std::vector<std::unique_ptr<Channel>> accepted;
  std::jthread accepting([&] {
    for (int i = 0; i < 2; ++i) accepted.push_back(listener->accept().value());
  });
  auto stranger = connect_and_say("");
  auto source = connect_and_say("");
  auto urgent = connect_and_say("");
  ASSERT_TRUE(source->write(std::as_bytes(std::span(kHeader))).has_value());
  accepting.join();
  EXPECT_EQ(read(*accepted[0], 100), kHeader);
  ASSERT_TRUE(urgent->write(std::as_bytes(std::span("urgent", 6))).has_value());
  EXPECT_EQ(read(*accepted[1], 100), "urgent");
}

TEST_F(OpeningTest, ASourceWhoseSilentConnectionNeverCameLeavesItsPlaceToNobody) {
  auto listener = listen_for({.any_of = {kHeader}, .another_follows_silently = true});
  std::vector<std::unique_ptr<Channel>> accepted;
  std::jthread accepting([&] {
    for (int i = 0; i < 2; ++i) accepted.push_back(listener->accept().value());
  });
  connect_and_say(kHeader + "of one that went away").reset();
  auto source = connect_and_say("");
  auto urgent = connect_and_say("");
  const std::string header = kHeader + "of the second";
  ASSERT_TRUE(source->write(std::as_bytes(std::span(header))).has_value());
  accepting.join();
  ASSERT_TRUE(urgent->write(std::as_bytes(std::span("urgent", 6))).has_value());
  EXPECT_EQ(read(*accepted[0], 100), header);
  EXPECT_EQ(read(*accepted[1], 100), "urgent");
}

TEST_F(OpeningTest, TwoSourcesAtOnceAreNotMixed) {
  auto listener = listen_for({.any_of = {kHeader}, .another_follows_silently = true});
  auto first = connect_and_say(kHeader + "1");
  auto second = connect_and_say(kHeader + "2");
  auto urgent_of_first = connect_and_say("");
  auto urgent_of_second = connect_and_say("");
  std::vector<std::string> heard;
  std::vector<std::unique_ptr<Channel>> accepted;
  for (int i = 0; i < 4; ++i) accepted.push_back(listener->accept().value());
  for (Channel* const urgent : {urgent_of_first.get(), urgent_of_second.get()})
    ASSERT_TRUE(urgent->write(std::as_bytes(std::span("urgent", 6))).has_value());
  for (const auto& channel : accepted) heard.push_back(read(*channel, 100));
  EXPECT_TRUE(heard[0].starts_with(kHeader) && heard[2].starts_with(kHeader)) << heard[0] << heard[2];
  EXPECT_EQ(heard[1], "urgent");
  EXPECT_EQ(heard[3], "urgent");
}

TEST_F(OpeningTest, WhatIsKnownAndNotWantedIsRefusedByItsReason) {
  const auto listener = listen(parse_address("unix:" + path_, Direction::incoming).value(), none_, 1).value();
  const auto peer = connect_and_say("other");
  const auto accepted = listener->accept().value();
  const Opening opening{.any_of = {kHeader}, .none_of = {{"oth", "it is another one"}}};
  EXPECT_EQ(await_opening(*accepted, opening, never_).error().what(), "it is another one");
}

TEST_F(OpeningTest, ClosingEndsTheWait) {
  auto listener = listen_for({.any_of = {kHeader}});
  std::jthread accepting([&] { EXPECT_FALSE(listener->accept()); });
  auto stranger = connect_and_say("");
  listener->close();
}

}  // namespace
}  // namespace godwit::channel

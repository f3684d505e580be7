#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

#include "channel/memory_channel.h"
#include "channel/socket_channel.h"
#include "channel/test_support.h"
#include "channel/tls/tls_channel.h"
#include "channel/tls/tls_listener.h"
#include "channel/tls/tls_session.h"

namespace godwit::channel {
namespace {

using namespace std::chrono_literals;

/// Keys and certificates, made once for all tests.
class TlsTest : public ::testing::Test {
 public:
  static void SetUpTestSuite() {
    char name[] = "/tmp/godwit-tls-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    const std::string command = std::string(GODWIT_TEST_SUPPORT) + "/make_certificates.sh " + directory_;
    ASSERT_EQ(std::system(command.c_str()), 0) << "certtool is in Debian's gnutls-bin";
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(directory_); }

 protected:
  static Result<std::shared_ptr<const TlsCredentials>> load(TlsCredentialsOptions options) {
    if (!options.directory.empty()) options.directory = directory_ + "/" + options.directory;
    return TlsCredentials::load(std::move(options));
  }
  static std::shared_ptr<const TlsCredentials> certificates(TlsEndpoint endpoint, const std::string& folder,
                                                            bool verify_peer = true) {
    return load({.kind = TlsKind::certificates,
                 .endpoint = endpoint,
                 .directory = folder,
                 .verify_peer = verify_peer,
                 .sanity_check = false})
        .value();
  }
  static std::shared_ptr<const TlsCredentials> key(TlsEndpoint endpoint, const std::string& folder) {
    return load({.kind = TlsKind::pre_shared_key, .endpoint = endpoint, .directory = folder}).value();
  }

  /// What each side says of the handshake, and the channels if both went well.
  struct Outcome {
    Result<std::unique_ptr<Channel>> client;
    Result<std::unique_ptr<Channel>> server;
  };
  static Outcome shake_hands(const TlsClient& client, const TlsServer& server) {
    int sockets[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    Interrupt never;
    Outcome outcome{fail("never ran"), fail("never ran")};
    std::jthread other([&] {
      outcome.server = start_tls(
          std::make_unique<SocketChannel>(UniqueFd(sockets[1]), "source", SocketChannel::Origin::own), server,
          never);
    });
    outcome.client = start_tls(
        std::make_unique<SocketChannel>(UniqueFd(sockets[0]), "destination", SocketChannel::Origin::own),
        client, never);
    other.join();
    return outcome;
  }

  static std::string directory_;
};
std::string TlsTest::directory_;

/// Both directions at once, in odd sizes: `size` bytes each way.
void exchange(Channel& one, Channel& other, std::size_t size) {
  const Bytes there = random_bytes(size, 1);
  const Bytes back = random_bytes(size, 2);
  const auto send = [](Channel& channel, const Bytes& bytes) {
    std::vector<iovec> parts;
    for (std::size_t at = 0, step = 1; at < bytes.size(); at += step, step = step * 3 % 65'537 + 1) {
      step = std::min(step, bytes.size() - at);
      parts.push_back({const_cast<std::byte*>(bytes.data()) + at, step});
    }
    EXPECT_TRUE(channel.write(parts));
    EXPECT_TRUE(channel.finish_writing());
  };
  const auto receive = [](Channel& channel, const Bytes& expected) {
    Bytes got(expected.size() + 1);
    std::size_t at = 0;
    for (;;) {
      const std::span rest = std::span(got).subspan(at);
      const iovec parts[] = {{rest.data(), std::min<std::size_t>(rest.size(), 8)},
                             {rest.data() + std::min<std::size_t>(rest.size(), 8),
                              rest.size() - std::min<std::size_t>(rest.size(), 8)}};
      const auto count = channel.read(parts);
      ASSERT_TRUE(count) << count.error().what();
      if (*count == 0) break;
      at += *count;
    }
    got.resize(at);
    EXPECT_EQ(got, expected);
  };
  std::jthread sender([&] { send(one, there); });
  std::jthread receiver([&] { receive(other, there); });
  std::jthread back_sender([&] { send(other, back); });
  receive(one, back);
}

TEST_F(TlsTest, EachKindOfCredentialsCarriesBytesBothWays) {
  const TlsClient clients[] = {
      {load({.kind = TlsKind::anonymous, .endpoint = TlsEndpoint::client}).value()},
      {key(TlsEndpoint::client, "psk")},
      {certificates(TlsEndpoint::client, "client"), "localhost"},
  };
  const TlsServer servers[] = {
      {load({.kind = TlsKind::anonymous, .endpoint = TlsEndpoint::server}).value()},
      {key(TlsEndpoint::server, "psk")},
      {certificates(TlsEndpoint::server, "server")},
  };
  for (std::size_t i = 0; i < std::size(clients); ++i) {
    auto outcome = shake_hands(clients[i], servers[i]);
    ASSERT_TRUE(outcome.client) << i << ": " << outcome.client.error().what();
    ASSERT_TRUE(outcome.server) << i << ": " << outcome.server.error().what();
    exchange(**outcome.client, **outcome.server, 3 * mebibyte + 17);
  }
}

TEST_F(TlsTest, AWrongKeyIsRefusedOnBothSides) {
  const auto outcome =
      shake_hands({key(TlsEndpoint::client, "wrong-psk")}, {key(TlsEndpoint::server, "psk")});
  ASSERT_FALSE(outcome.client);
  ASSERT_FALSE(outcome.server);
  EXPECT_THAT(outcome.client.error().what(), ::testing::StartsWith("TLS handshake failed: "));
  EXPECT_THAT(outcome.server.error().what(), ::testing::StartsWith("TLS handshake failed: "));
}

TEST_F(TlsTest, AServerWithTheWrongNameIsRefusedAndToldSo) {
  const auto outcome = shake_hands({certificates(TlsEndpoint::client, "client"), "localhost"},
                                   {certificates(TlsEndpoint::server, "other")});
  ASSERT_FALSE(outcome.client);
  EXPECT_EQ(outcome.client.error().what(), "Certificate does not match the hostname localhost");
  ASSERT_FALSE(outcome.server);
  EXPECT_EQ(outcome.server.error().what(), "TLS handshake failed: the peer refuses: Certificate is bad");
}

TEST_F(TlsTest, AnExpiredServerIsRefusedAndToldSo) {
  const auto outcome = shake_hands({certificates(TlsEndpoint::client, "client"), "localhost"},
                                   {certificates(TlsEndpoint::server, "expired")});
  ASSERT_FALSE(outcome.client);
  EXPECT_THAT(outcome.client.error().what(), ::testing::HasSubstr("expired"));
  ASSERT_FALSE(outcome.server);
  EXPECT_EQ(outcome.server.error().what(), "TLS handshake failed: the peer refuses: Certificate is expired");
}

/// With TLS 1.3 the client has finished when the server looks at its certificate: it waits for the verdict,
/// and has sent nothing.
void expect_refusal(const Result<std::unique_ptr<Channel>>& client) {
  ASSERT_FALSE(client);
  EXPECT_THAT(client.error().what(), ::testing::HasSubstr("TLS handshake failed: "));
  EXPECT_THAT(client.error().what(), ::testing::HasSubstr("the peer refuses: "));
}

TEST_F(TlsTest, AClientOfAnotherAuthorityIsRefusedAndToldSo) {
  auto outcome = shake_hands({certificates(TlsEndpoint::client, "stranger"), "localhost"},
                             {certificates(TlsEndpoint::server, "server")});
  ASSERT_FALSE(outcome.server);
  EXPECT_THAT(outcome.server.error().what(), ::testing::HasSubstr("issuer is unknown"));
  expect_refusal(outcome.client);
}

TEST_F(TlsTest, AClientWithoutCertificateIsRefusedByDefaultAndLetInOnRequest) {
  auto refused = shake_hands({certificates(TlsEndpoint::client, "nameless"), "localhost"},
                             {certificates(TlsEndpoint::server, "server")});
  ASSERT_FALSE(refused.server);
  expect_refusal(refused.client);

  auto accepted = shake_hands({certificates(TlsEndpoint::client, "nameless"), "localhost"},
                              {certificates(TlsEndpoint::server, "server", false)});
  ASSERT_TRUE(accepted.client) << accepted.client.error().what();
  ASSERT_TRUE(accepted.server) << accepted.server.error().what();
}

TEST_F(TlsTest, AuthorizationLooksAtTheSubject) {
  const TlsClient client{certificates(TlsEndpoint::client, "client"), "localhost"};
  const auto server = [&](Authorization authorization) {
    return TlsServer{certificates(TlsEndpoint::server, "server"),
                     std::make_shared<const Authorization>(std::move(authorization))};
  };
  auto accepted = shake_hands(client, server(Authorization::only("O=Godwit,CN=mover")));
  EXPECT_TRUE(accepted.server) << accepted.server.error().what();
  auto refused = shake_hands(client, server(Authorization::only("O=Godwit,CN=somebody")));
  ASSERT_FALSE(refused.server);
  EXPECT_EQ(refused.server.error().what(), "TLS x509 authz check for O=Godwit,CN=mover is denied");
  expect_refusal(refused.client);
}

TEST_F(TlsTest, PlainPeersAreRefusedInBothRoles) {
  int sockets[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  auto plain = std::make_unique<SocketChannel>(UniqueFd(sockets[0]), "", SocketChannel::Origin::own);
  const std::string header("QEVM\0\0\0\3", 8);
  ASSERT_TRUE(plain->write(std::as_bytes(std::span(header))));
  Interrupt never;
  const auto server =
      start_tls(std::make_unique<SocketChannel>(UniqueFd(sockets[1]), "", SocketChannel::Origin::own),
                TlsServer{key(TlsEndpoint::server, "psk")}, never, 60'000ms);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().what(), ::testing::StartsWith("TLS handshake failed: "));

  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  ::shutdown(sockets[0], SHUT_WR);
  const UniqueFd other(sockets[0]);
  const auto client =
      start_tls(std::make_unique<SocketChannel>(UniqueFd(sockets[1]), "", SocketChannel::Origin::own),
                TlsClient{key(TlsEndpoint::client, "psk")}, never, 60'000ms);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().what(), "TLS handshake failed: The TLS connection was non-properly terminated.");
}

TEST_F(TlsTest, ASilentPeerIsGivenUpInTimeAndAtOnceWhenInterrupted) {
  for (const bool interrupt_it : {false, true}) {
    auto [silent, transport] = make_memory_channels();
    Interrupt interrupt;
    if (interrupt_it) interrupt.interrupt();
    const auto client = start_tls(std::move(transport), TlsClient{key(TlsEndpoint::client, "psk")}, interrupt,
                                  interrupt_it ? 60'000ms : 20ms);
    ASSERT_FALSE(client);
    if (interrupt_it) continue;
    EXPECT_THAT(client.error().what(), ::testing::HasSubstr("did not finish it within 20 ms"));
  }
}

TEST_F(TlsTest, CredentialsForTheOtherEndAreRefused) {
  const auto outcome = shake_hands({key(TlsEndpoint::server, "psk")}, {key(TlsEndpoint::client, "psk")});
  EXPECT_EQ(outcome.client.error().what(), "Expected TLS credentials for a client endpoint");
  EXPECT_EQ(outcome.server.error().what(), "Expected TLS credentials for a server endpoint");
}

TEST_F(TlsTest, WhatIsWrongWithOwnFilesIsSaidWhenTheyAreLoaded) {
  const auto problem = [](TlsCredentialsOptions options) {
    const auto loaded = load(std::move(options));
    return loaded ? std::string("none") : loaded.error().what();
  };
  const std::string psk = directory_ + "/none/keys.psk";
  EXPECT_EQ(problem({.kind = TlsKind::pre_shared_key, .directory = "none"}),
            "Unable to access credentials " + psk + ": No such file or directory");
  EXPECT_EQ(problem({.kind = TlsKind::pre_shared_key}), "Missing 'dir' property value");
  EXPECT_EQ(problem({.kind = TlsKind::pre_shared_key, .directory = "psk", .username = "nobody"}),
            "Username nobody not found in PSK file " + directory_ + "/psk/keys.psk");
  EXPECT_EQ(problem({.endpoint = TlsEndpoint::server, .directory = "expired"}),
            "The certificate " + directory_ + "/expired/server-cert.pem has expired");
  EXPECT_THAT(problem({.endpoint = TlsEndpoint::client, .directory = "stranger"}),
              ::testing::HasSubstr("failed validation against"));
  EXPECT_THAT(problem({.directory = "client", .priority = "GIBBERISH"}),
              ::testing::HasSubstr("Unable to set TLS session priority GIBBERISH"));
  EXPECT_EQ(problem({.endpoint = TlsEndpoint::server, .directory = "server"}), "none");
}

TEST_F(TlsTest, StrangersDoNotKeepTheRealSourceOut) {
  TestDescriptors descriptors;
  const std::string path = directory_ + "/listen.sock";
  const auto address = parse_address("unix:" + path, Direction::incoming).value();
  auto listener = make_tls_listener(listen(address, descriptors, 64).value(),
                                    [] { return TlsServer{key(TlsEndpoint::server, "psk")}; });
  Interrupt never;
  const auto connect_plain = [&] {
    return connect(parse_address("unix:" + path, Direction::outgoing).value(), descriptors, never).value();
  };
  std::vector<std::unique_ptr<Channel>> strangers;
  auto accepted = std::make_unique<Result<std::unique_ptr<Channel>>>(fail("not yet"));
  std::jthread accepting([&] { *accepted = listener->accept(); });
  for (std::size_t i = 0; i < 2 * most_handshakes; ++i) strangers.push_back(connect_plain());
  auto source = start_tls(connect_plain(), TlsClient{key(TlsEndpoint::client, "psk")}, never);
  ASSERT_TRUE(source) << source.error().what();
  accepting.join();
  ASSERT_TRUE(*accepted);
  exchange(**source, ***accepted, 1000);
}

TEST_F(TlsTest, TheConnectionThatSpeaksIsTheFirstOneWhoseHandshakeEverWasOver) {
  TestDescriptors descriptors;
  const std::string path = directory_ + "/order.sock";
  auto listener = make_tls_listener(
      listen(parse_address("unix:" + path, Direction::incoming).value(), descriptors, 8).value(),
      [] { return TlsServer{key(TlsEndpoint::server, "psk")}; },
      [] { return Opening{.any_of = {"main"}, .another_follows_silently = true}; });
  std::vector<std::unique_ptr<Channel>> accepted;
  std::jthread accepting([&] {
    for (int i = 0; i < 2; ++i) accepted.push_back(listener->accept().value());
  });
  Interrupt never;
  const auto to = parse_address("unix:" + path, Direction::outgoing).value();

  // The source has done its part of the first handshake, and the destination has not heard it yet.
  auto first = connect(to, descriptors, never).value();
  auto session = TlsSession::create(key(TlsEndpoint::client, "psk"), "", nullptr).value();
  Bytes bytes;
  while (!session->handshake().value()) {
    session->take_outgoing(bytes);
    ASSERT_TRUE(first->write(bytes));
    session->received(first->read(session->incoming_room()).value());
  }
  // With TLS 1.2 the destination has the last word: it is through with this one.
  auto old = load({.kind = TlsKind::pre_shared_key,
                   .endpoint = TlsEndpoint::client,
                   .directory = "psk",
                   .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2"});
  ASSERT_TRUE(old) << old.error().what();
  auto second = start_tls(connect(to, descriptors, never).value(), TlsClient{*old}, never);
  ASSERT_TRUE(second) << second.error().what();

  const auto word = [](const char* text) { return std::as_bytes(std::span(text, std::strlen(text))); };
  ASSERT_TRUE(session->encrypt(word("main")));
  session->take_outgoing(bytes);
  ASSERT_TRUE(first->write(bytes));
  accepting.join();
  ASSERT_TRUE((*second)->write(word("urgent")));
  const char* const expected[] = {"main", "urgent"};
  for (std::size_t i = 0; i < 2; ++i) {
    Bytes got(16);
    got.resize(accepted[i]->read(got).value());
    EXPECT_EQ(got, Bytes(word(expected[i]).begin(), word(expected[i]).end())) << i;
  }
}

TEST_F(TlsTest, AListenerLooksUpItsPolicyForEachConnection) {
  TestDescriptors descriptors;
  const std::string path = directory_ + "/policy.sock";
  std::atomic<int> asked = 0;
  auto listener = make_tls_listener(
      listen(parse_address("unix:" + path, Direction::incoming).value(), descriptors, 8).value(),
      [&]() -> Result<std::optional<TlsServer>> {
        if (asked++ == 0) return fail("No TLS credentials with id 'x'");
        return std::nullopt;
      });
  Interrupt never;
  const auto to = parse_address("unix:" + path, Direction::outgoing).value();
  auto dropped = connect(to, descriptors, never).value();
  auto plain = connect(to, descriptors, never).value();
  auto accepted = listener->accept();
  ASSERT_TRUE(accepted);
  exchange(*plain, **accepted, 1000);
  std::byte byte;
  EXPECT_EQ(dropped->read({&byte, 1}).value_or(0), 0u);
}

TEST_F(TlsTest, ClosingTheListenerEndsEverything) {
  TestDescriptors descriptors;
  const auto address = parse_address("unix:" + directory_ + "/close.sock", Direction::incoming).value();
  auto listener = make_tls_listener(listen(address, descriptors, 1).value(),
                                    [] { return TlsServer{key(TlsEndpoint::server, "psk")}; });
  std::jthread accepting([&] {
    const auto channel = listener->accept();
    ASSERT_FALSE(channel);
    EXPECT_EQ(channel.error().what(), "The listener was closed");
  });
  listener->close();
}

TEST(AuthorizationTest, RulesDecideInOrder) {
  using Match = AuthorizationRule::Match;
  const Authorization rules(
      {{"CN=bad,*", Match::glob, false}, {"CN=*,O=Godwit", Match::glob, true}, {"x", Match::exact, true}},
      false);
  EXPECT_TRUE(rules.allows("CN=good,O=Godwit"));
  EXPECT_FALSE(rules.allows("CN=bad,O=Godwit"));
  EXPECT_TRUE(rules.allows("x"));
  EXPECT_FALSE(rules.allows("xy"));
  EXPECT_FALSE(rules.allows(""));
  EXPECT_TRUE(Authorization({}, true).allows("anybody"));
  EXPECT_TRUE(Authorization({{"a*b*c?", Match::glob, true}}, false).allows("aXXbYYbZc!"));
  EXPECT_FALSE(Authorization({{"a*b*c?", Match::glob, true}}, false).allows("aXXbYYbZc"));
}

}  // namespace
}  // namespace godwit::channel

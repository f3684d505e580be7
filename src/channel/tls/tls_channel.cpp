#include "channel/tls/tls_channel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "base/log.h"
#include "base/system.h"
#include "base/thread.h"
#include "channel/iovec_cursor.h"
#include "channel/tls/certificate_check.h"
#include "channel/tls/tls_session.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

/// How much is encrypted before it is written: a system call for this much costs little.
constexpr std::size_t flush_bytes = std::size_t{256} * 1024;
constexpr std::size_t largest_record = 16 * 1024;

/// The first byte of a Godwit server, to a Godwit client.
constexpr std::byte acceptance{'+'};

/// Any other server that refuses a certificate does so within some milliseconds.
constexpr std::chrono::milliseconds acceptance_patience{200};

class TlsChannel final : public Channel {
 public:
  TlsChannel(std::unique_ptr<Channel> transport, std::unique_ptr<TlsSession> session)
      : transport_(std::move(transport)), session_(std::move(session)) {
    encrypted_.reserve(flush_bytes + 2 * largest_record);
  }

  using Channel::read;
  using Channel::write;

  Result<> write(std::span<const iovec> parts) override {
    const std::size_t record = std::min(session_->max_record(), record_.size());
    std::size_t used = 0;
    for (const iovec& part : parts) {
      std::span rest(static_cast<const std::byte*>(part.iov_base), part.iov_len);
      while (!rest.empty()) {
        const std::size_t count = std::min(rest.size(), record - used);
        std::memcpy(record_.data() + used, rest.data(), count);
        rest = rest.subspan(count);
        used += count;
        if (used < record) continue;
        GODWIT_TRY(encrypt(record));
        used = 0;
      }
    }
    if (used != 0) GODWIT_TRY(encrypt(used));
    return flush();
  }

  Result<std::size_t> read(std::span<const iovec> parts) override {
    is_read_.store(true, std::memory_order_relaxed);
    std::size_t total = 0;
    for (const iovec& part : parts) {
      std::span room(static_cast<std::byte*>(part.iov_base), part.iov_len);
      while (!room.empty()) {
        if (clear_.empty()) {
          GODWIT_ASSIGN(const bool more, decrypt(total == 0));
          if (!more) return total;
        }
        const std::size_t count = std::min(room.size(), clear_.size());
        std::memcpy(room.data(), clear_.data(), count);
        clear_ = clear_.subspan(count);
        room = room.subspan(count);
        total += count;
      }
    }
    return total;
  }

  void shutdown() noexcept override { transport_->shutdown(); }

  Result<> finish_writing() override {
    session_->close_sending();
    // Everything else was written before. A peer that was done first and has closed its end needs no goodbye,
    // but one that refuses us has said so, and a connection that is broken shows to who waits for the peer.
    if (!flush_plain())
      if (auto refused = refusal()) return fail(*std::move(refused));
    return transport_->finish_writing();
  }

  Result<bool> wait_for_peer_close(std::chrono::milliseconds timeout) override {
    return transport_->wait_for_peer_close(timeout);
  }

  int read_descriptor() const override { return transport_->read_descriptor(); }
  int write_descriptor() const override { return transport_->write_descriptor(); }
  bool has_unread() const override { return !clear_.empty() || session_->has_unread(); }
  void set_patience(std::chrono::milliseconds patience) override { transport_->set_patience(patience); }
  void prefer_latency() override { transport_->prefer_latency(); }
  std::string_view kind() const override { return transport_->kind(); }
  bool two_way() const override { return true; }
  bool multi_channel() const override { return transport_->multi_channel(); }
  std::string peer() const override { return transport_->peer(); }

  /// Both sides' part of the handshake, until it is done.
  Result<> shake_hands() {
    for (;;) {
      auto done = session_->handshake();
      auto sent = flush_plain();
      if (!done) {
        say_goodbye();
        return fail(std::move(done).error());
      }
      GODWIT_TRY(std::move(sent));
      if (*done) return {};
      if (auto got = receive(); !got) return fail(std::move(got).error().in("TLS handshake failed"));
    }
  }

  /// With TLS 1.3 a client has finished before the server looks at its certificate. A Godwit says when it has
  /// accepted it; any other server has `patience` to refuse.
  Result<> settle(std::chrono::milliseconds patience) {
    if (session_->is_server()) return session_->is_confirmed() ? write({&acceptance, 1}) : Result<>();
    if (session_->is_confirmed()) return await_acceptance();
    if (!session_->may_still_be_refused() || transport_->read_descriptor() < 0) return {};
    pollfd entry{transport_->read_descriptor(), POLLIN, 0};
    GODWIT_ASSIGN(const bool answered,
                  wait_for_any({&entry, 1}, std::chrono::steady_clock::now() + patience));
    if (!answered) return {};
    GODWIT_TRY(receive());
    GODWIT_ASSIGN(const auto got, session_->decrypt());
    if (got.ended) return fail("the destination closed the connection");
    clear_ = got.bytes;
    return {};
  }

  std::string description() const { return session_->description(); }

 private:
  Result<> await_acceptance() {
    GODWIT_ASSIGN(const bool answered, decrypt(true));
    if (!answered) return fail("the destination closed the connection");
    if (clear_.front() != acceptance) return fail("the destination has not said that it accepts");
    clear_ = clear_.subspan(1);
    return {};
  }

  Result<> encrypt(std::size_t size) {
    GODWIT_TRY(session_->encrypt(std::span(record_).first(size)));
    return session_->outgoing_size() < flush_bytes ? Result<>() : flush();
  }

  Result<> flush_plain() {
    session_->take_outgoing(encrypted_);
    return encrypted_.empty() ? Result<>() : transport_->write(encrypted_);
  }

  Result<> flush() {
    auto sent = flush_plain();
    if (sent) return sent;
    auto refused = refusal();
    return fail(refused ? *std::move(refused) : std::move(sent).error());
  }

  /// A destination that refuses the source says why by an alert, which waits to be read when a write fails.
  std::optional<Error> refusal() {
    if (is_read_.load(std::memory_order_relaxed)) return std::nullopt;
    std::array<std::byte, 1024> dropped;
    auto got = read(dropped);
    if (got || got.error().what().find("the peer refuses") == std::string::npos) return std::nullopt;
    return std::move(got).error();
  }

  /// Fills clear_, which is empty. False: the stream has ended, or, unless it may `wait`, nothing is here.
  Result<bool> decrypt(bool wait) {
    for (;;) {
      GODWIT_ASSIGN(const auto got, session_->decrypt());
      clear_ = got.bytes;
      if (!clear_.empty()) return true;
      if (got.ended || !wait) return false;
      if (got.needs_more) GODWIT_TRY(receive());
    }
  }

  Result<> receive() {
    GODWIT_ASSIGN(const std::size_t got, transport_->read(session_->incoming_room()));
    if (got == 0) session_->peer_closed();
    session_->received(got);
    return {};
  }

  /// Leaves the alert for the peer to read. What the peer still sends is not read: it has to see that nobody
  /// takes it, or it takes the guest for moved.
  void say_goodbye() { (void)transport_->finish_writing(); }

  const std::unique_ptr<Channel> transport_;
  const std::unique_ptr<TlsSession> session_;
  std::atomic<bool> is_read_{false};

  std::span<const std::byte> clear_;  ///< of the reading thread: what is not read yet of the last record

  // Of the writing thread.
  std::array<std::byte, largest_record> record_;
  std::vector<std::byte> encrypted_;
};

/// Shuts a channel down when a time has passed or an interrupt is set, unless it is destroyed before.
class Watchdog {
 public:
  Watchdog(Channel& channel, const Interrupt& interrupt, std::chrono::milliseconds limit)
      : thread_(start_thread(
            "tls-watchdog",
            [this, &channel, &interrupt, limit](std::stop_token) {
              pollfd entries[] = {{done_.fd(), POLLIN, 0}, {interrupt.fd(), POLLIN, 0}};
              const auto woken = wait_for_any(entries, std::chrono::steady_clock::now() + limit);
              if (entries[0].revents != 0) return;
              expired_.store(woken && !*woken, std::memory_order_release);
              channel.shutdown();
            },
            [&channel](const Error&) { channel.shutdown(); })) {}
  ~Watchdog() { stop(); }

  /// True if the time has passed.
  bool stop() {
    done_.wake();
    if (thread_.joinable()) thread_.join();
    return expired_.load(std::memory_order_acquire);
  }

 private:
  WakeFd done_;
  std::atomic<bool> expired_{false};
  std::jthread thread_;  // last: it uses what is above
};

Result<std::unique_ptr<Channel>> start(std::unique_ptr<Channel> transport,
                                       std::shared_ptr<const TlsCredentials> credentials,
                                       const std::string& hostname, TlsSession::Examine examine,
                                       const Interrupt& interrupt, std::chrono::milliseconds limit) {
  if (!transport->two_way()) return fail("TLS needs a transport that goes both ways");
  const std::string peer = transport->peer();
  if (!credentials->verifies_certificates()) examine = nullptr;
  GODWIT_ASSIGN(auto session, TlsSession::create(std::move(credentials), hostname, std::move(examine)));
  auto channel = std::make_unique<TlsChannel>(std::move(transport), std::move(session));
  Watchdog watchdog(*channel, interrupt, limit);
  auto done = channel->shake_hands();
  if (done) {
    done = channel->settle(acceptance_patience);
    if (!done) done = fail(std::move(done).error().in("TLS handshake failed"));
  }
  if (watchdog.stop())
    return fail("TLS handshake failed: {} did not finish it within {} ms", peer, limit.count());
  if (!done) return fail(std::move(done).error());
  log::debug("TLS with {}: {}", peer, channel->description());
  return channel;
}

std::optional<Refusal> refuse_identity(gnutls_session_t session, const Authorization& authorization) {
  const auto name = peer_distinguished_name(session);
  if (!name) return Refusal{name.error(), GNUTLS_A_BAD_CERTIFICATE};
  if (authorization.allows(*name)) return std::nullopt;
  return Refusal{Error(fmt::format("TLS x509 authz check for {} is denied", *name)), GNUTLS_A_ACCESS_DENIED};
}

}  // namespace

Result<std::unique_ptr<Channel>> start_tls(std::unique_ptr<Channel> transport, const TlsClient& client,
                                           const Interrupt& interrupt, std::chrono::milliseconds limit) {
  if (client.credentials->options().endpoint != TlsEndpoint::client)
    return fail("Expected TLS credentials for a client endpoint");
  if (client.credentials->verifies_certificates() && client.hostname.empty())
    return fail(Error("No hostname to check the destination's certificate against")
                    .advise("set tls-hostname to the name in the destination's certificate"));
  return start(
      std::move(transport), client.credentials, client.hostname,
      [name = client.hostname](gnutls_session_t session) { return refuse_certificate(session, name); },
      interrupt, limit);
}

Result<std::unique_ptr<Channel>> start_tls(std::unique_ptr<Channel> transport, const TlsServer& server,
                                           const Interrupt& interrupt, std::chrono::milliseconds limit) {
  if (server.credentials->options().endpoint != TlsEndpoint::server)
    return fail("Expected TLS credentials for a server endpoint");
  return start(
      std::move(transport), server.credentials, "",
      [authorization = server.authorization](gnutls_session_t session) {
        auto refusal = refuse_certificate(session, "");
        if (!refusal && authorization) refusal = refuse_identity(session, *authorization);
        return refusal;
      },
      interrupt, limit);
}

}  // namespace godwit::channel

#include "channel/tls/tls_listener.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <utility>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

/// More channels than any migration has.
constexpr std::size_t most_ready = 300;

/// What a handshake takes.
constexpr std::chrono::milliseconds honest_time{10};

/// How long to wait for memory that others give back.
constexpr std::chrono::milliseconds out_of_resources{100};

class TlsListener final : public Listener {
 public:
  TlsListener(std::unique_ptr<Listener> listener, TlsPolicy policy, OpeningPolicy opening)
      : listener_(std::move(listener)), policy_(std::move(policy)), opening_(std::move(opening)) {
    accepting_ = start_thread("accept", [this](std::stop_token) { accept_transports(); });
  }
  ~TlsListener() override {
    close();
    accepting_.join();
    handshakes_.clear();  // joins
  }

  Result<std::unique_ptr<Channel>> accept() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !ready_.empty() || failed_; });
    if (closed_) return fail("The listener was closed");
    if (!ready_.empty()) {
      auto channel = std::move(ready_.front());
      ready_.pop_front();
      return channel;
    }
    return fail(*std::exchange(failed_, std::nullopt));
  }

  void close() noexcept override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      for (Handshake& each : handshakes_) each.interrupt.interrupt();
      changed_.notify_all();
    }
    listener_->close();
  }

  std::vector<ListeningAddress> addresses() const override { return listener_->addresses(); }
  bool multi_channel() const override { return listener_->multi_channel(); }

 private:
  struct Handshake {
    std::uint64_t number = 0;         // in the order of arrival
    std::optional<TlsServer> server;  // unset: it has to show an opening
    std::unique_ptr<Channel> transport;
    bool proved = false;  // its handshake is over; guarded by mutex_
    bool silent = false;  // it need not show anything; guarded by mutex_
    Interrupt interrupt;
    bool done = false;  // guarded by mutex_
    std::jthread thread;
  };

  void accept_transports() {
    for (;;) {
      const auto goes_on = or_exhausted([this] { return accept_transport(); });
      if (goes_on && !*goes_on) return;
      if (goes_on) continue;
      log::warn("a connection was not let in: {}", goes_on.error().what());
      // It may be that none was taken: nothing tells when there is memory again.
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, out_of_resources, [this] { return closed_; })) return;
    }
  }

  /// False: there are no more.
  Result<bool> accept_transport() {
    auto transport = listener_->accept();
    std::unique_lock lock(mutex_);
    if (closed_) return false;
    if (!transport) {
      failed_ = std::move(transport).error();
      changed_.notify_all();
      return !listener_->multi_channel();
    }
    auto server = policy_();
    if (!server) {
      log::warn("{} was not let in: {}", name_of(**transport), server.error().what());
      return true;
    }
    if (!*server && (!opening_ || !listener_->multi_channel() || (*transport)->read_descriptor() < 0 ||
                     std::exchange(one_may_be_silent_, false))) {
      admit(*std::move(transport));
      return true;
    }
    forget_finished();
    if (handshakes_.size() >= most_handshakes) {
      make_room(lock);
      if (closed_) return false;
      forget_finished();
    }
    const std::string peer = name_of(**transport);
    auto begun = or_exhausted([&] { return begin(*std::move(server), *std::move(transport)); });
    if (begun) return true;
    handshakes_.remove_if([](const Handshake& each) { return !each.thread.joinable(); });
    log::warn("{} was not let in: {}", peer, begun.error().what());
    return true;
  }

  /// With mutex_ held.
  Result<> begin(std::optional<TlsServer> server, std::unique_ptr<Channel> transport) {
    Handshake& mine = handshakes_.emplace_back();
    mine.number = ++arrived_;
    mine.server = std::move(server);
    mine.transport = std::move(transport);
    mine.thread = start_thread(
        "tls-handshake", [this, &mine](std::stop_token) { shake_hands(mine); },
        [this, &mine](const Error& error) { give_up(mine, error); });
    return {};
  }

  void forget_finished() {
    handshakes_.remove_if([](const Handshake& each) { return each.done; });
  }

  /// An honest one takes milliseconds, so that the oldest is none. One that has sent something, and waits for
  /// its thread, goes last.
  void make_room(std::unique_lock<std::mutex>& lock) {
    const auto has_room = [this] {
      return closed_ || std::ranges::any_of(handshakes_, [](const Handshake& each) { return each.done; });
    };
    if (changed_.wait_for(lock, honest_time, has_room)) return;
    auto victim = std::ranges::find_if(handshakes_, [](const Handshake& each) {
      return each.server ? !each.proved : !has_sent(*each.transport);
    });
    if (victim == handshakes_.end()) victim = handshakes_.begin();
    victim->interrupt.interrupt();
    changed_.notify_all();
    changed_.wait(lock, has_room);
  }

  static bool has_sent(const Channel& transport) {
    char first = 0;
    return ::recv(transport.read_descriptor(), &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
  }

  void shake_hands(Handshake& mine) {
    if (!mine.server) return await_plain(mine);
    const std::string peer = name_of(*mine.transport);
    auto channel = start_tls(std::move(mine.transport), *mine.server, mine.interrupt);
    Result<bool> comes_in = channel ? await_turn(mine, **channel) : fail(std::move(channel).error());
    const std::lock_guard lock(mutex_);
    if (comes_in) {
      admit(*std::move(channel));
      if (*comes_in) let_one_be_silent(mine.number);  // not before this one is in
    } else if (!mine.interrupt.interrupted()) {
      log::warn("{} was not let in: {}", peer, comes_in.error().what());
    }
    mine.done = true;
    changed_.notify_all();
  }

  void give_up(Handshake& mine, const Error& error) {
    log::warn("a connection was not let in: {}", error.what());
    const std::lock_guard lock(mutex_);
    mine.transport.reset();
    mine.done = true;
    changed_.notify_all();
  }

  /// Of two connections of one source the one that speaks is the first, whose handshake ever was over before.
  /// True: this one has spoken, and another may be silent.
  Result<bool> await_turn(Handshake& mine, const Channel& channel) {
    if (!opening_ || !listener_->multi_channel() || channel.read_descriptor() < 0 ||
        !opening_().another_follows_silently)
      return false;
    {
      const std::lock_guard lock(mutex_);
      mine.proved = true;
      if (!speaks(channel) && std::exchange(one_may_be_silent_, false)) return false;
    }
    if (!speaks(channel)) {
      std::array<pollfd, 2> entries{
          {{channel.read_descriptor(), POLLIN, 0}, {mine.interrupt.fd(), POLLIN, 0}}};
      GODWIT_TRY(wait_for_any(entries, std::chrono::steady_clock::now() + opening_patience));
    }
    const std::lock_guard lock(mutex_);
    if (mine.silent) return false;
    if (mine.interrupt.interrupted()) return fail("the connection is not wanted any more");
    if (!speaks(channel)) return fail("it has sent nothing for {} ms", opening_patience.count());
    return true;
  }

  static bool speaks(const Channel& channel) {
    pollfd entry{channel.read_descriptor(), POLLIN, 0};
    return channel.has_unread() || ::poll(&entry, 1, 0) > 0;
  }

  void await_plain(Handshake& mine) {
    const Opening opening = opening_();
    auto shown = await_opening(*mine.transport, opening, mine.interrupt);
    std::unique_lock lock(mutex_);
    // It may be the second one of a source whose first one is still looked at.
    if (!shown && opening.another_follows_silently)
      changed_.wait_for(lock, opening_patience,
                        [&] { return closed_ || mine.silent || mine.interrupt.interrupted(); });
    if (shown || mine.silent) {
      admit(std::move(mine.transport));
      if (shown && opening.another_follows_silently) let_one_be_silent(mine.number);
    } else if (!mine.interrupt.interrupted()) {
      log::warn("{} was not let in: {}", name_of(*mine.transport), shown.error().what());
    }
    mine.transport.reset();
    mine.done = true;
    changed_.notify_all();
  }

  /// The first one that came, or comes, behind connection `number`; with TLS, that has proved who it is. With
  /// mutex_ held.
  void let_one_be_silent(std::uint64_t number) {
    for (Handshake& each : handshakes_) {
      if (each.done || each.number <= number || each.silent || (each.server && !each.proved)) continue;
      each.silent = true;
      each.interrupt.interrupt();
      return;
    }
    one_may_be_silent_ = true;
  }

  /// With mutex_ held.
  void admit(std::unique_ptr<Channel> channel) {
    if (!closed_ && ready_.size() < most_ready) ready_.push_back(std::move(channel));
    changed_.notify_all();
  }

  static std::string name_of(const Channel& transport) {
    const std::string peer = transport.peer();
    return peer.empty() ? "a peer" : peer;
  }

  const std::unique_ptr<Listener> listener_;
  const TlsPolicy policy_;
  const OpeningPolicy opening_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool closed_ = false;
  std::deque<std::unique_ptr<Channel>> ready_;
  std::optional<Error> failed_;
  std::list<Handshake> handshakes_;
  std::uint64_t arrived_ = 0;
  bool one_may_be_silent_ = false;
  std::jthread accepting_;
};

}  // namespace

std::unique_ptr<Listener> make_tls_listener(std::unique_ptr<Listener> listener, TlsPolicy policy,
                                            OpeningPolicy opening) {
  return std::make_unique<TlsListener>(std::move(listener), std::move(policy), std::move(opening));
}

}  // namespace godwit::channel

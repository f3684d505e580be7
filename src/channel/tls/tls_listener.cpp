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
    // Each may still look at the others: none goes before all have ended.
    for (Handshake& each : handshakes_)
      if (each.thread.joinable()) each.thread.join();
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
    std::uint64_t number = 0;            // in the order of arrival
    std::optional<TlsServer> server;     // unset: it has to show an opening
    std::unique_ptr<Channel> transport;  // null in the middle of a TLS handshake, and when it was let in
    Interrupt interrupt;
    // Guarded by mutex_:
    bool proved = false;             // its handshake is over
    bool silent = false;             // it is the second one of a source that has spoken on another,
    std::unique_ptr<Channel> first;  // which is this
    bool done = false;
    std::optional<WakeFd> second_may_be_there;  // while it waits for its second
    std::jthread thread;
  };

  /// How one of a source's connections comes in.
  enum class Turn : std::uint8_t { alone, speaks_first, silent };

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
    if (!*server && (!opening_ || !listener_->multi_channel() || (*transport)->read_descriptor() < 0)) {
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
    if (!mine.server) wake_those_that_wait();
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
    const std::string peer = name_of(*mine.transport);
    auto comes_in = mine.server ? prove(mine) : show(mine);
    std::unique_lock lock(mutex_);
    if (comes_in && *comes_in == Turn::speaks_first) comes_in = bring_second(mine, lock);
    if (comes_in && mine.first) admit(std::move(mine.first));
    if (comes_in && mine.transport) admit(std::move(mine.transport));
    if (!comes_in && !mine.interrupt.interrupted())
      log::warn("{} was not let in: {}", peer, comes_in.error().what());
    end(mine);
  }

  void give_up(Handshake& mine, const Error& error) {
    log::warn("a connection was not let in: {}", error.what());
    const std::lock_guard lock(mutex_);
    end(mine);
  }

  /// With mutex_ held.
  void end(Handshake& mine) {
    mine.first.reset();
    mine.transport.reset();
    mine.done = true;
    changed_.notify_all();
  }

  /// By its handshake, and where two connections of one source have to be told apart, by who speaks.
  Result<Turn> prove(Handshake& mine) {
    GODWIT_ASSIGN(auto channel, start_tls(std::move(mine.transport), *mine.server, mine.interrupt));
    const bool can_be_one_of_two = opening_ && listener_->multi_channel() && channel->read_descriptor() >= 0;
    const Opening opening = can_be_one_of_two ? opening_() : Opening{};
    {
      const std::lock_guard lock(mutex_);
      mine.transport = std::move(channel);
      mine.proved = true;
      wake_those_that_wait();
    }
    if (!opening.another_follows_silently) return Turn::alone;
    if (!speaks(*mine.transport)) {
      std::array<pollfd, 2> entries{
          {{mine.transport->read_descriptor(), POLLIN, 0}, {mine.interrupt.fd(), POLLIN, 0}}};
      GODWIT_TRY(wait_for_any(entries, std::chrono::steady_clock::now() + opening.patience));
    }
    const std::lock_guard lock(mutex_);
    if (mine.silent) return Turn::silent;
    if (mine.interrupt.interrupted()) return fail("the connection is not wanted any more");
    if (speaks(*mine.transport)) return Turn::speaks_first;
    if (!is_silent(*mine.transport)) return fail("it has closed the connection");
    return fail("it has sent nothing for {} ms", opening.patience.count());
  }

  /// By what a source sends first.
  Result<Turn> show(Handshake& mine) {
    const Opening opening = opening_();
    auto shown = await_opening(*mine.transport, opening, mine.interrupt);
    const std::lock_guard lock(mutex_);
    if (mine.silent) return Turn::silent;
    if (!shown) return fail(std::move(shown).error());
    return opening.another_follows_silently ? Turn::speaks_first : Turn::alone;
  }

  /// Finds the silent connection behind this one, which has spoken, and leaves this one to it: both come in
  /// at once. A source that goes away before takes its claim with it: nobody else comes in for it.
  Result<Turn> bring_second(Handshake& mine, std::unique_lock<std::mutex>& lock) {
    const auto patience = opening_().patience;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    mine.second_may_be_there.emplace();
    for (;;) {
      std::array<pollfd, 3> entries{{{mine.transport->read_descriptor(), POLLRDHUP, 0},
                                     {mine.interrupt.fd(), POLLIN, 0},
                                     {mine.second_may_be_there->fd(), POLLIN, 0}}};
      if (closed_ || mine.interrupt.interrupted()) return fail("the connection is not wanted any more");
      if (::poll(entries.data(), 1, 0) > 0) return fail("it has closed the connection");
      if (Handshake* const second = second_of(mine)) {
        second->first = std::move(mine.transport);
        second->silent = true;
        second->interrupt.interrupt();
        return Turn::speaks_first;
      }
      lock.unlock();
      const auto woken = wait_for_any(entries, deadline);
      lock.lock();
      if (!woken) return fail(woken.error());
      if (!*woken) return fail("its second connection has not come within {} ms", patience.count());
      mine.second_may_be_there->drain();
    }
  }

  /// The first one that has come behind `first` and has said nothing; with TLS, that has proved who it is.
  /// With mutex_ held.
  Handshake* second_of(const Handshake& first) {
    for (Handshake& each : handshakes_) {
      if (each.done || each.number <= first.number || each.silent || (each.server && !each.proved)) continue;
      if (is_silent(*each.transport)) return &each;
    }
    return nullptr;
  }

  /// With mutex_ held.
  void wake_those_that_wait() {
    for (Handshake& each : handshakes_)
      if (each.second_may_be_there) each.second_may_be_there->wake();
  }

  /// One that has closed its end does not, and is not silent either.
  static bool speaks(const Channel& channel) { return channel.has_unread() || has_sent(channel); }

  static bool is_silent(const Channel& channel) {
    pollfd entry{channel.read_descriptor(), POLLIN, 0};
    return !channel.has_unread() && ::poll(&entry, 1, 0) == 0;
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
  std::jthread accepting_;
};

}  // namespace

std::unique_ptr<Listener> make_tls_listener(std::unique_ptr<Listener> listener, TlsPolicy policy,
                                            OpeningPolicy opening) {
  return std::make_unique<TlsListener>(std::move(listener), std::move(policy), std::move(opening));
}

}  // namespace godwit::channel

#include "engine/simulation/wire.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

#include "base/fail.h"
#include "base/system.h"

namespace godwit::engine::simulation {
namespace {

/// How long a thread waits for bytes before the driver is told: nothing else of a run takes so long.
constexpr int kStuckMs = 100;
/// Longer where the plan has no faults left: then only a slow machine is the reason.
constexpr int kStuckWithoutFaultsMs = 20'000;

std::unexpected<Error> broken(std::string_view doing) {
  return fail("Unable to {} socket: Connection reset by peer", doing);
}

std::size_t bytes_before_fault(Place place, std::size_t length) {
  switch (place) {
    case Place::before:
      return 0;
    case Place::behind_first:
      return std::min<std::size_t>(1, length);
    case Place::middle:
      return length / 2;
    case Place::before_last:
      return length - 1;
    default:
      return length;
  }
}

}  // namespace

class WireEnd final : public channel::Channel {
 public:
  WireEnd(std::shared_ptr<Wire> wire, int side, UniqueFd socket)
      : wire_(std::move(wire)),
        side_(side),
        socket_(socket.get()),
        inner_(std::make_unique<channel::SocketChannel>(std::move(socket), "simulated",
                                                        channel::SocketChannel::Origin::own)) {}
  ~WireEnd() override {
    std::lock_guard lock(wire_->mutex_);
    wire_->sockets_[static_cast<std::size_t>(side_)] = -1;
    shut_ = true;
    inner_.reset();
    wire_->changed_.notify_all();
    wire_->world_.changed();
  }

  using Channel::read;
  using Channel::write;

  Result<> write(std::span<const iovec> parts) override {
    std::unique_lock lock(wire_->mutex_);
    if (shut_) return was_shut_down();
    if (out().broken) return broken("write to");
    const Trigger* trigger = wire_->next_trigger(side_);
    if (!trigger) {
      if (out().flow == Wire::Flow::silent) return {};
      lock.unlock();
      return inner_->write(parts);
    }
    std::vector<std::byte> bytes;
    for (const iovec& part : parts) {
      const auto* at = static_cast<const std::byte*>(part.iov_base);
      bytes.insert(bytes.end(), at, at + part.iov_len);
    }
    if (bytes.empty()) return {};
    const auto [first, rest] =
        std::pair{std::span(bytes).first(bytes_before_fault(trigger->place, bytes.size())),
                  std::span(bytes).subspan(bytes_before_fault(trigger->place, bytes.size()))};
    if (out().flow == Wire::Flow::moves && !first.empty()) {
      lock.unlock();
      GODWIT_TRY(inner_->write(std::span<const std::byte>(first)));
      lock.lock();
    }
    GODWIT_TRY(happen(*trigger, first, rest.empty(), lock));
    if (shut_) return rest.empty() ? Result<>{} : was_shut_down();
    if (out().broken) return rest.empty() ? Result<>{} : broken("write to");
    if (out().flow == Wire::Flow::silent || rest.empty()) return {};
    lock.unlock();
    return inner_->write(std::span<const std::byte>(rest));
  }

  Result<std::size_t> read(std::span<const iovec> parts) override {
    for (;;) {
      {
        std::lock_guard lock(wire_->mutex_);
        if (shut_) return was_shut_down();
        if (out().broken && wire_->lost_) return broken("read from");
      }
      pollfd entry{socket_, POLLIN, 0};
      const int ready = ::poll(&entry, 1, wire_->triggers_.empty() ? kStuckWithoutFaultsMs : kStuckMs);
      if (ready == 0) {
        if (patience_.count() > 0) return timed_out();
        wire_->world_.stuck();
      }
      auto got = inner_->read(parts);
      if (got && *got > 0) return got;
      std::unique_lock lock(wire_->mutex_);
      if (shut_) return was_shut_down();
      if (out().broken) return broken("read from");
      if (in().flow == Wire::Flow::moves || in().ends) return got;
      if (patience_.count() > 0) return timed_out();
      wire_->world_.stuck();
      wire_->changed_.wait(lock, [this] { return shut_ || out().broken; });
    }
  }

  void shutdown() noexcept override {
    std::lock_guard lock(wire_->mutex_);
    shut_ = true;
    inner_->shutdown();
    wire_->changed_.notify_all();
  }

  Result<> finish_writing() override {
    std::lock_guard lock(wire_->mutex_);
    if (shut_) return was_shut_down();
    if (out().flow != Wire::Flow::moves) return {};
    return inner_->finish_writing();
  }

  Result<bool> wait_for_peer_close(std::chrono::milliseconds timeout) override {
    {
      std::lock_guard lock(wire_->mutex_);
      if (shut_) return was_shut_down();
      if (out().broken) return std::unexpected(broken("read from"));
      // Nothing can come: the time is over.
      if (out().flow != Wire::Flow::moves || in().flow != Wire::Flow::moves) return false;
    }
    return inner_->wait_for_peer_close(timeout);
  }

  int read_descriptor() const override { return socket_; }
  int write_descriptor() const override { return socket_; }
  void set_patience(std::chrono::milliseconds patience) override { patience_ = patience; }
  std::string_view kind() const override { return "socket"; }
  bool two_way() const override { return true; }
  bool multi_channel() const override { return true; }
  std::string peer() const override { return "simulated"; }

 private:
  Wire::Direction& out() { return wire_->directions_[static_cast<std::size_t>(side_)]; }
  Wire::Direction& in() { return wire_->directions_[static_cast<std::size_t>(1 - side_)]; }
  static std::unexpected<Error> was_shut_down() { return fail("The channel was shut down"); }
  std::unexpected<Error> timed_out() {
    wire_->clocks_[static_cast<std::size_t>(side_)]->advance(patience_);
    return fail("Unable to read from socket: Connection timed out");
  }

  /// `all`: every byte of the write was sent before. An error means that the write fails.
  Result<> happen(const Trigger& trigger, std::span<const std::byte> sent, bool all,
                  std::unique_lock<std::mutex>& lock) {
    ++wire_->happened_[static_cast<std::size_t>(trigger.fault)];
    wire_->ending_ = trigger.ending;
    switch (trigger.fault) {
      case Fault::cut_losing:
      case Fault::cut_delivering:
        wire_->cut_locked(trigger.fault == Fault::cut_losing);
        return all ? Result<>{} : broken("write to");
      case Fault::stall: {
        out().flow = Wire::Flow::stalled;
        wire_->world_.stuck();
        wire_->changed_.wait(lock,
                             [this] { return out().flow != Wire::Flow::stalled || shut_ || out().broken; });
        return {};
      }
      case Fault::truncate:
        out().ends = true;
        wire_->silence(side_);
        return {};
      case Fault::vanish:
        wire_->silence(0);
        wire_->silence(1);
        return {};
      case Fault::half_open:
        wire_->silence(0);
        wire_->silence(1);
        out().broken = wire_->lost_ = true;
        wire_->changed_.notify_all();
        return all ? Result<>{} : broken("write to");
      case Fault::duplicate: {
        const auto again = sent.last(std::min<std::size_t>(sent.size(), 64));
        if (out().flow != Wire::Flow::moves || again.empty()) return {};
        lock.unlock();
        auto written = inner_->write(again);
        lock.lock();
        return written;
      }
      default:
        lock.unlock();
        wire_->world_.request(trigger.fault);
        lock.lock();
        return {};
    }
  }

  const std::shared_ptr<Wire> wire_;
  const int side_;
  const int socket_;
  std::unique_ptr<channel::SocketChannel> inner_;
  std::chrono::milliseconds patience_{0};
  bool shut_ = false;  ///< guarded by the wire's mutex
};

Wire::Ends Wire::make(World& world, std::array<SimClock*, 2> clocks, std::vector<Trigger> triggers) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw std::runtime_error("no sockets");
  auto wire = std::shared_ptr<Wire>(new Wire(world, clocks, std::move(triggers)));
  wire->sockets_ = {pair[0], pair[1]};
  auto source = std::make_unique<WireEnd>(wire, 0, UniqueFd(pair[0]));
  auto destination = std::make_unique<WireEnd>(wire, 1, UniqueFd(pair[1]));
  return {std::move(wire), std::move(source), std::move(destination)};
}

const Trigger* Wire::next_trigger(int side) {
  const unsigned write = directions_[static_cast<std::size_t>(side)].writes++;
  const Way way = side == 0 ? Way::to_destination : Way::to_source;
  const auto at =
      std::ranges::find_if(triggers_, [&](const Trigger& t) { return t.way == way && t.write == write; });
  return at == triggers_.end() ? nullptr : &*at;
}

void Wire::cut(bool losing) {
  std::lock_guard lock(mutex_);
  cut_locked(losing);
}

void Wire::cut_locked(bool losing) {
  for (Direction& direction : directions_) direction.broken = true;
  lost_ = lost_ || losing;
  for (const int socket : sockets_)
    if (socket >= 0) ::shutdown(socket, SHUT_RDWR);
  changed_.notify_all();
}

void Wire::silence(int side) {
  const auto index = static_cast<std::size_t>(side);
  directions_[index].flow = Flow::silent;
  if (sockets_[index] >= 0) ::shutdown(sockets_[index], SHUT_WR);
}

void Wire::release() {
  std::lock_guard lock(mutex_);
  for (Direction& direction : directions_)
    if (direction.flow == Flow::stalled) direction.flow = Flow::moves;
  changed_.notify_all();
}

bool Wire::is_silent() const {
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(directions_, [](const auto& d) { return d.flow != Flow::moves; });
}

Ending Wire::ending() const {
  std::lock_guard lock(mutex_);
  return ending_;
}

bool Wire::is_closed(Side side) const {
  std::lock_guard lock(mutex_);
  return sockets_[static_cast<std::size_t>(side)] < 0;
}

void Wire::count(FaultCounts& counts) const {
  std::lock_guard lock(mutex_);
  for (std::size_t fault = 0; fault < counts.size(); ++fault) counts[fault] += happened_[fault];
}

}  // namespace godwit::engine::simulation

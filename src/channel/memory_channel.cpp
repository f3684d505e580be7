#include "channel/memory_channel.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/fail.h"
#include "channel/iovec_cursor.h"

namespace godwit::channel {
namespace {

/// Both directions of a pair, under one lock.
struct Wire {
  struct Direction {
    std::vector<std::byte> ring;
    std::size_t start = 0;
    std::size_t used = 0;
    std::uint64_t written = 0;
    bool finished = false;   // its writer has said so, or is gone
    bool abandoned = false;  // its reader is gone
    MemoryFaults faults{};
  };

  std::mutex mutex;
  std::condition_variable changed;
  Direction directions[2];  // [i]: written by end i
  bool broken = false;
  bool shut_down[2] = {false, false};
};

class End final : public MemoryChannel {
 public:
  End(std::shared_ptr<Wire> wire, int side, bool two_way, bool multi_channel)
      : wire_(std::move(wire)), side_(side), two_way_(two_way), multi_channel_(multi_channel) {}

  ~End() override {
    std::lock_guard lock(wire_->mutex);
    out().finished = true;
    in().abandoned = true;
    wire_->changed.notify_all();
  }

  using Channel::read;
  using Channel::write;

  Result<> write(std::span<const iovec> parts) override {
    std::unique_lock lock(wire_->mutex);
    for (const iovec& part : parts)
      GODWIT_TRY(write_part({static_cast<const std::byte*>(part.iov_base), part.iov_len}, lock));
    return {};
  }

  Result<std::size_t> read(std::span<const iovec> parts) override {
    if (total_size(parts) == 0) return 0;
    std::unique_lock lock(wire_->mutex);
    wire_->changed.wait(lock, [this] { return something_to_read(); });
    if (shut_down()) return was_shut_down();
    if (in().used == 0 && wire_->broken) return fail("Unable to read from socket: Connection reset by peer");
    std::size_t total = 0;
    for (const iovec& part : parts) total += take({static_cast<std::byte*>(part.iov_base), part.iov_len});
    wire_->changed.notify_all();
    return total;
  }

  void shutdown() noexcept override {
    std::lock_guard lock(wire_->mutex);
    wire_->shut_down[side_] = true;
    out().finished = true;
    in().abandoned = true;
    wire_->changed.notify_all();
  }

  Result<> finish_writing() override {
    std::lock_guard lock(wire_->mutex);
    if (shut_down()) return was_shut_down();
    out().finished = true;
    wire_->changed.notify_all();
    return {};
  }

  Result<bool> wait_for_peer_close(std::chrono::milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    std::unique_lock lock(wire_->mutex);
    for (;;) {
      if (!wire_->changed.wait_until(lock, deadline, [this] { return something_to_read(); })) return false;
      if (shut_down()) return was_shut_down();
      if (in().used == 0 && wire_->broken)
        return fail("Unable to read from socket: Connection reset by peer");
      if (in().used == 0) return true;
      in().used = 0;
      wire_->changed.notify_all();
      if (std::chrono::steady_clock::now() >= deadline) return false;
    }
  }

  std::string_view kind() const override { return "socket"; }
  bool two_way() const override { return two_way_; }
  bool multi_channel() const override { return multi_channel_; }
  std::string peer() const override { return "memory"; }

  void inject(MemoryFaults faults) override {
    std::lock_guard lock(wire_->mutex);
    out().faults = faults;
    cut_if_due();
  }

  void release_stall() override {
    std::lock_guard lock(wire_->mutex);
    out().faults.stall_after.reset();
    wire_->changed.notify_all();
  }

  std::uint64_t written() const override {
    std::lock_guard lock(wire_->mutex);
    return wire_->directions[side_].written;
  }

 private:
  Wire::Direction& out() { return wire_->directions[side_]; }
  Wire::Direction& in() { return wire_->directions[1 - side_]; }
  bool shut_down() const { return wire_->shut_down[side_]; }
  static std::unexpected<Error> was_shut_down() { return fail("The channel was shut down"); }

  bool something_to_read() { return in().used != 0 || in().finished || wire_->broken || shut_down(); }

  /// How many bytes may be put into the ring now.
  std::size_t room() {
    std::uint64_t room = out().ring.size() - out().used;
    if (const auto limit = out().faults.stall_after)
      room = std::min(room, *limit - std::min(*limit, out().written));
    if (const auto limit = out().faults.cut_after)
      room = std::min(room, *limit - std::min(*limit, out().written));
    return static_cast<std::size_t>(room);
  }

  void cut_if_due() {
    const auto limit = out().faults.cut_after;
    if (!limit || out().written < *limit) return;
    wire_->broken = true;
    wire_->changed.notify_all();
  }

  Result<> write_part(std::span<const std::byte> bytes, std::unique_lock<std::mutex>& lock) {
    while (!bytes.empty()) {
      wire_->changed.wait(lock, [this] {
        return room() != 0 || shut_down() || wire_->broken || out().abandoned || out().finished;
      });
      if (shut_down()) return was_shut_down();
      if (wire_->broken || out().abandoned || out().finished)
        return fail("Unable to write to socket: Broken pipe");
      const std::size_t count = std::min(bytes.size(), room());
      put(bytes.first(count));
      bytes = bytes.subspan(count);
      cut_if_due();
      wire_->changed.notify_all();
    }
    return {};
  }

  void put(std::span<const std::byte> bytes) {
    auto& ring = out();
    const std::size_t at = (ring.start + ring.used) % ring.ring.size();
    const std::size_t first = std::min(bytes.size(), ring.ring.size() - at);
    std::memcpy(ring.ring.data() + at, bytes.data(), first);
    std::memcpy(ring.ring.data(), bytes.data() + first, bytes.size() - first);
    ring.used += bytes.size();
    ring.written += bytes.size();
  }

  std::size_t take(std::span<std::byte> into) {
    auto& ring = in();
    const std::size_t count = std::min(into.size(), ring.used);
    const std::size_t first = std::min(count, ring.ring.size() - ring.start);
    if (count == 0) return 0;
    std::memcpy(into.data(), ring.ring.data() + ring.start, first);
    std::memcpy(into.data() + first, ring.ring.data(), count - first);
    ring.start = (ring.start + count) % ring.ring.size();
    ring.used -= count;
    return count;
  }

  std::shared_ptr<Wire> wire_;
  int side_;
  bool two_way_;
  bool multi_channel_;
};

}  // namespace

MemoryChannelPair make_memory_channels(std::size_t capacity, bool two_way, bool multi_channel) {
  auto wire = std::make_shared<Wire>();
  for (auto& direction : wire->directions) direction.ring.resize(std::max<std::size_t>(capacity, 1));
  return {std::make_unique<End>(wire, 0, two_way, multi_channel),
          std::make_unique<End>(wire, 1, two_way, multi_channel)};
}

}  // namespace godwit::channel

// A peer that says what a test tells it to, over a unix socket. For tests of the engine.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <godwit/stream.h>

#include "base/thread.h"
#include "channel/connector.h"
#include "channel/listener.h"
#include "wire/command.h"
#include "wire/return_path.h"

namespace godwit::engine::testing {

/// One end of a connection. Reads all that comes on a thread of its own.
class ScriptedPeer {
 public:
  /// Connects to a listener at `path`.
  static std::unique_ptr<ScriptedPeer> connect(const std::string& path) {
    NoDescriptors none;
    channel::Interrupt never;
    auto channel =
        channel::connect(*channel::parse_address("unix:" + path, channel::Direction::outgoing), none, never);
    EXPECT_TRUE(channel.has_value());
    return std::make_unique<ScriptedPeer>(*std::move(channel));
  }
  explicit ScriptedPeer(std::unique_ptr<channel::Channel> channel) : channel_(std::move(channel)) {
    thread_ = start_thread("scripted-peer", [this](std::stop_token) { read_all(); });
  }
  ~ScriptedPeer() { channel_->shutdown(); }

  void send(const Output& out) {
    // A peer that has hung up already is what some of the tests are about.
    static_cast<void>(channel_->write(out.data()));
  }
  void send(const wire::Command& command) {
    Output out;
    wire::encode_command(out, command);
    send(out);
  }
  void send(const wire::ReturnMessage& message) {
    Output out;
    wire::encode_return_message(out, message);
    send(out);
  }
  void hang_up() { channel_->shutdown(); }

  /// Until these bytes have come. False: the other side hung up, or they do not come.
  bool wait_for(std::span<const std::byte> bytes) {
    std::unique_lock lock(mutex_);
    const auto has_come = [&] { return !std::ranges::search(seen_, bytes).empty(); };
    changed_.wait_for(lock, std::chrono::seconds(40), [&] { return has_come() || ended_; });
    return has_come();
  }
  bool wait_for(const wire::Command& command) {
    Output out;
    wire::encode_command(out, command);
    return wait_for(out.data());
  }
  bool wait_for(const wire::ReturnMessage& message) {
    Output out;
    wire::encode_return_message(out, message);
    return wait_for(out.data());
  }
  /// Until the other side has hung up.
  void wait_for_end() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(40), [&] { return ended_; }));
  }
  std::vector<std::byte> seen() const {
    std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void read_all() {
    std::vector<std::byte> buffer(65536);
    while (true) {
      const auto got = channel_->read(std::span<std::byte>(buffer));
      std::lock_guard lock(mutex_);
      if (!got || *got == 0) ended_ = true;
      if (got) seen_.insert(seen_.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
      changed_.notify_all();
      if (ended_) return;
    }
  }

  std::unique_ptr<channel::Channel> channel_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::byte> seen_;
  bool ended_ = false;
  std::jthread thread_;
};

/// Listens at `path` and gives out who connects.
class ScriptedListener {
 public:
  explicit ScriptedListener(const std::string& path) {
    NoDescriptors none;
    auto listener =
        channel::listen(*channel::parse_address("unix:" + path, channel::Direction::incoming), none, 4);
    EXPECT_TRUE(listener.has_value());
    listener_ = *std::move(listener);
  }
  std::unique_ptr<ScriptedPeer> accept() {
    auto channel = listener_->accept();
    EXPECT_TRUE(channel.has_value());
    return std::make_unique<ScriptedPeer>(*std::move(channel));
  }

 private:
  std::unique_ptr<channel::Listener> listener_;
};

}  // namespace godwit::engine::testing

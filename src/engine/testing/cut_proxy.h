// A wire that can be cut: forwards connections from one unix socket to another, and breaks or stalls them
// where a test says. For tests of the engine.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/system.h"

namespace godwit::engine::testing {

/// One connection at a time; a new one may follow a cut.
class CutProxy {
 public:
  CutProxy(const std::string& listen_path, std::string target_path);
  ~CutProxy();

  /// The next connection is cut when exactly `count` bytes, counted from the first appearance of `pattern`,
  /// have gone to the target, or have come back. An empty pattern appears at the start.
  void cut_in_sent(std::vector<std::byte> pattern, std::uint64_t count) {
    to_target_.arm(std::move(pattern), count);
  }
  void cut_in_answered(std::vector<std::byte> pattern, std::uint64_t count) {
    to_source_.arm(std::move(pattern), count);
  }
  /// Now.
  void cut() {
    cut_now_ = true;
    wake_.wake();
  }
  /// Nothing gets through any more, and nobody is told.
  void stall(bool on = true) {
    stalled_ = on;
    wake_.wake();
  }
  int connections() const { return connections_; }

 private:
  /// One way.
  struct Direction {
    void arm(std::vector<std::byte> wanted, std::uint64_t bytes) {
      pattern = std::move(wanted);
      count = bytes;
      armed = true;
    }
    /// How much of what has just been read may be passed on.
    std::size_t admit(std::span<const std::byte> fresh);

    std::vector<std::byte> pattern;
    std::uint64_t count = 0;
    std::atomic<bool> armed{false};
    std::vector<std::byte> seen;
    bool cut = false;
  };

  void run(const std::stop_token& stop);
  void forward(int source, int target, const std::stop_token& stop);
  bool carry(int from, int to, Direction& direction);

  const std::string target_path_;
  UniqueFd listener_;
  WakeFd wake_;
  Direction to_target_;
  Direction to_source_;
  std::atomic<int> connections_{0};
  std::atomic<bool> cut_now_{false};
  std::atomic<bool> stalled_{false};
  std::jthread thread_;
};

}  // namespace godwit::engine::testing

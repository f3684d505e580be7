// The other end of a connection, for tests: a thread that follows a script of what to expect and what to
// send.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "base/system.h"

namespace godwit::cli {

/// Owns one end of a socket pair and the thread that plays on it. The script ends when the connection does.
class ScriptedPeer {
 public:
  /// What a script can do. Calls on a connection that has ended do nothing and return empty text.
  class Stage {
   public:
    explicit Stage(int fd) : fd_(fd) {}
    void send(const std::string& bytes);
    /// Everything up to and including the next newline.
    std::string line();
    /// The descriptor that came with the bytes read so far, -1 if none did.
    int take_descriptor() { return std::exchange(descriptor_, -1); }

   private:
    int fd_;
    int descriptor_ = -1;
    std::string pending_;
  };

  explicit ScriptedPeer(std::function<void(Stage&)> script);
  ~ScriptedPeer();

  /// The end for the code under test; nonblocking. Once only.
  UniqueFd take_end() { return std::move(other_end_); }

 private:
  UniqueFd end_;
  UniqueFd other_end_;
  std::jthread thread_;
};

}  // namespace godwit::cli

// A QMP client for tests: blocking, with a deadline on everything.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/system.h"

namespace godwit::qmp::testing {

/// Every wait ends after this long, as a failed test.
inline constexpr std::chrono::seconds deadline{30};

class Client {
 public:
  explicit Client(UniqueFd socket) : socket_(std::move(socket)) {}

  /// Connects to "unix:PATH" or "tcp:127.0.0.1:PORT", as Monitor::add returns it.
  static Client connect(const std::string& address);
  /// The same, and through the greeting and the negotiation.
  static Client ready(const std::string& address, bool oob = false);

  void send(std::string_view bytes, const std::vector<int>& descriptors = {});
  /// Sends as much as the socket takes without waiting; returns how much that was.
  std::size_t send_what_fits(std::string_view bytes);

  /// The next line as an object; an empty object, and a failed test, after the deadline or at the end of
  /// input.
  boost::json::object receive();
  /// The next line; unset at the end of input.
  std::optional<std::string> line();
  /// The next line that is not an event.
  boost::json::object reply();
  /// Sends, and waits for the reply.
  boost::json::object ask(std::string_view request);

  /// True if nothing can be read now.
  bool silent();
  /// Waits for the other side to close; whatever it still sends is dropped.
  bool closed_by_peer();

  void finish_sending();
  void close() { socket_.reset(); }
  int fd() const { return socket_.get(); }

 private:
  bool wait_readable();

  UniqueFd socket_;
  std::string received_;
};

}  // namespace godwit::qmp::testing

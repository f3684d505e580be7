// One client's socket on the monitor's loop: moves bytes between it and a Session.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/exhaustion.h"
#include "qmp/output_limits.h"
#include "qmp/session.h"
#include "qmp/sockets.h"

namespace godwit::qmp {

/// All on the monitor's thread. Never blocks. Kept alive by its pending operations until they have ended.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// Whoever runs the calls. Called from the loop, never from within a call of the owner's own.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The session may have calls to run.
    virtual void on_requests(Connection& connection) = 0;
    /// The client is gone, or was sent away. Called once.
    virtual void on_closed(Connection& connection) = 0;
  };

  Connection(boost::asio::io_context& loop, Stream stream, Session session, OutputLimits limits,
             Owner& owner);

  /// Sends the greeting and begins to read.
  void start();

  /// Does `work`, which is this client's. One for whom there is no memory is sent away: half of what it asked
  /// for, or was to be told, may be gone.
  template <class Work>
  void attempt(Work&& work) {
    const auto done = or_exhausted([&]() -> Result<> {
      if (!closed_) work();
      return {};
    });
    if (!done) give_up(done.error());
  }

  Session& session() { return session_; }

  /// Sends what the session has to say, and reads on if there is room. To be called after each call on
  /// session().
  void update();

  /// True if the client leaves so much unread that its requests have to wait.
  bool congested() const { return backlog() > limits_.pause_bytes; }
  bool closed() const { return closed_; }
  bool all_sent() const { return closed_ || (backlog() == 0 && !session_.has_output()); }

  /// Ends the conversation; on_closed follows from the loop.
  void close();

 private:
  std::size_t backlog() const { return outgoing_.size() - sent_; }
  boost::asio::posix::stream_descriptor& output() { return out_.is_open() ? out_ : in_; }

  void give_up(const Error& why);
  void await_input();
  void on_readable();
  void receive(std::string_view bytes, std::vector<UniqueFd> passed);
  void await_room();
  void await_hang_up();
  bool hung_up();
  void send_some();
  void forget_sent();

  Session session_;
  OutputLimits limits_;
  Owner& owner_;
  boost::asio::io_context& loop_;
  boost::asio::posix::stream_descriptor in_;
  boost::asio::posix::stream_descriptor out_;
  bool is_socket_;
  bool awaiting_input_ = false;
  bool awaiting_room_ = false;
  bool input_ended_ = false;
  bool closed_ = false;
  std::vector<char> chunk_;
  std::string outgoing_;
  std::size_t sent_ = 0;  // of outgoing_
};

}  // namespace godwit::qmp

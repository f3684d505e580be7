// One endpoint of the monitor: its listener, and the client that is being served.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "qmp/connection.h"
#include "qmp/descriptor_store.h"
#include "qmp/session.h"
#include "qmp/sockets.h"

namespace godwit::qmp {

/// Serves one client at a time and goes back to accepting when it has left. All on the monitor's thread, but
/// the constructor.
class Slot : public std::enable_shared_from_this<Slot> {
 public:
  class Owner : public Connection::Owner {
   public:
    virtual void on_connected(Slot& slot) = 0;
  };

  struct Settings {
    Session::Settings session;
    OutputLimits limits;
    std::string address;   ///< for messages
    std::uint64_t id = 0;  ///< the owner's
  };

  Slot(boost::asio::io_context& loop, const CommandTable& commands, std::shared_ptr<FdSets> sets,
       Settings settings, Owner& owner);

  /// Either a listener, or a stream that is connected already.
  void serve(Listener listener);
  void serve(Stream stream);

  /// Null while nobody is connected.
  Connection* connection() const { return connection_.get(); }

  /// To be called when the connection has said it is closed: forgets it and accepts the next client.
  void release();

  /// No further client is accepted.
  void stop_accepting();

  const std::string& address() const { return settings_.address; }
  std::uint64_t id() const { return settings_.id; }

 private:
  void await_client();
  void on_client();
  void retry_soon();

  boost::asio::io_context& loop_;
  const CommandTable& commands_;
  Settings settings_;
  Owner& owner_;
  std::shared_ptr<DescriptorStore> descriptors_;
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::steady_timer retry_;
  SocketFile file_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace godwit::qmp

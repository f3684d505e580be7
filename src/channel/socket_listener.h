// Listening sockets of one address, waited for together.
#pragma once

#include <condition_variable>
#include <mutex>
#include <poll.h>
#include <sys/stat.h>
#include <vector>

#include "base/system.h"
#include "channel/listener.h"
#include "channel/socket_address.h"

namespace godwit::channel {

class SocketListener final : public Listener {
 public:
  /// Takes over sockets on which listen() was called, oldest first.
  explicit SocketListener(std::vector<UniqueFd> sockets);
  ~SocketListener() override { close(); }

  Result<std::unique_ptr<Channel>> accept() override;
  void close() noexcept override;
  std::vector<ListeningAddress> addresses() const override;
  bool multi_channel() const override { return true; }

  /// Removes `path` on close() if it is still the socket that it is now.
  void own_path(std::string path);

 private:
  class Accepting;

  Result<UniqueFd> accept_one(std::vector<pollfd>& entries);
  void remove_path() noexcept;

  mutable std::mutex mutex_;
  std::condition_variable accept_left_;
  std::vector<UniqueFd> sockets_;            // guarded by mutex_; kept open while accepting_
  std::vector<ListeningAddress> addresses_;  // guarded by mutex_; newest first
  bool accepting_ = false;                   // guarded by mutex_
  bool closed_ = false;                      // guarded by mutex_
  std::string own_path_;                     // guarded by mutex_
  dev_t path_device_ = 0;
  ino_t path_inode_ = 0;
  bool warned_ = false;  // that nothing is left to accept with; the accepting thread's
  WakeFd wake_;
};

/// The texts of a 7.2 peer for each of these: see listen().
Result<std::unique_ptr<Listener>> listen_tcp(const Tcp& tcp, int backlog);
Result<std::unique_ptr<Listener>> listen_unix(const Unix& address, int backlog);
Result<std::unique_ptr<Listener>> listen_vsock(const Vsock& vsock, int backlog);

}  // namespace godwit::channel

// Opens the incoming end of a migration stream.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <godwit/descriptors.h>
#include <godwit/result.h>

#include "channel/address.h"
#include "channel/channel.h"

namespace godwit::channel {

/// One address that is listened on, as `socket-address` of query-migrate reports it (control-plane
/// section 6.2).
struct ListeningAddress {
  enum class Type : std::uint8_t { inet, unix, vsock };
  Type type = Type::inet;
  std::string host{};  ///< inet: numeric
  std::string port{};  ///< inet and vsock: the real one, also where 0 was asked for
  bool ipv4 = false;   ///< inet: exactly one of the two is true
  bool ipv6 = false;
  std::string path{};  ///< unix
  std::string cid{};   ///< vsock
  bool operator==(const ListeningAddress&) const = default;
};

/// Threads: accept() from one thread; close() and addresses() from any.
class Listener {
 public:
  virtual ~Listener() = default;  ///< closes
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Waits for the next channel. After close() it fails with `The listener was closed`. A listener on a
  /// descriptor, a command or a file gives one channel at once; the next call waits for close().
  virtual Result<std::unique_ptr<Channel>> accept() = 0;

  /// Ends accept() for good, gives up the ports, and removes a unix socket's path if it is still ours.
  virtual void close() noexcept = 0;

  /// What is listened on, newest first. Empty for descriptors, commands and files.
  virtual std::vector<ListeningAddress> addresses() const = 0;

  /// Whether accept() can give more than one channel.
  virtual bool multi_channel() const = 0;
};

/// Starts listening on every address that `address` resolves to, or opens the file, or starts the command.
/// Looks up names, so it may block for as long as that takes. `backlog` is how many connections may queue, at
/// least 1.
///
/// The number of an inherited descriptor is only looked at by accept(), as a 7.2 peer does; descriptors that
/// were made close-on-exec are not inherited ones and are refused there. Errors: control-plane section 9.2,
/// and `Failed to find an available port: Address already in use`.
Result<std::unique_ptr<Listener>> listen(const Address& address, DescriptorSource& descriptors, int backlog);

}  // namespace godwit::channel

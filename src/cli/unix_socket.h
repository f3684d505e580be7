// UNIX sockets by path: the tool listens, the VMM connects; or the tool connects to a monitor.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "cli/wait.h"

namespace godwit::cli {

/// A listening socket with its path, which it removes when it goes.
class UnixListener {
 public:
  static Result<UnixListener> open(std::string path);

  UnixListener(UnixListener&&) noexcept = default;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

  /// Takes a connection that waits: call it when fd() is readable.
  Result<UniqueFd> accept();

 private:
  UnixListener(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;  // empty once moved from
};

/// A connection to a socket that exists already.
Result<UniqueFd> connect_unix(const std::string& path);

/// Sends all bytes; `descriptor` (-1: none) travels with the first of them.
Result<> send_all(int fd, std::string_view bytes, int descriptor, Deadline deadline, const StopRequest& stop);

/// Takes what is there, up to the size of the buffer, without waiting. 0: nothing there yet. The end of the
/// stream is an error.
Result<std::size_t> receive_some(int fd, std::span<char> buffer);

}  // namespace godwit::cli

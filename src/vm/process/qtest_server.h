// The qtest connection of a running process, on a thread of its own.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "base/system.h"
#include "vm/machine.h"

namespace godwit::vm {

/// Answers until the client goes or stop() is called. A read may wait for a page that a migration has yet to
/// bring; only this thread waits then.
class QtestServer {
 public:
  /// Connects to the listener at `path`. `machine` outlives the server.
  static Result<std::unique_ptr<QtestServer>> connect(const std::string& path, Machine& machine);
  ~QtestServer();

  /// Cuts the connection; does not wait.
  void stop() noexcept;

 private:
  QtestServer(UniqueFd socket, Machine& machine);

  UniqueFd socket_;
  std::jthread thread_;
};

}  // namespace godwit::vm

// Sending from the caller's memory without a copy, where the kernel can (MSG_ZEROCOPY).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <sys/uio.h>

#include <godwit/result.h>

namespace godwit::channel {

/// For one stream socket, which it does not own. One thread; `shut_down` is set by others before they shut
/// the socket down, and ends every wait.
class ZeroCopySender {
 public:
  ZeroCopySender(int socket, const std::atomic<bool>& shut_down);

  /// Returns when the kernel has taken all parts. It reads them until finish() has returned. Where it cannot
  /// (another kind of socket, no more memory may be locked) the bytes are copied. The error is a number of
  /// errno.
  std::expected<void, int> send(std::span<const iovec> parts);

  /// Waits until the kernel does not look at the bytes any more. True if none of them since the last call
  /// were copied.
  std::expected<bool, int> finish();

 private:
  std::expected<bool, int> collect();
  std::expected<void, int> wait(short events);

  int socket_;
  const std::atomic<bool>& shut_down_;
  bool possible_;
  bool copied_ = false;
  // The kernel numbers the calls, and tells which are done.
  std::uint64_t calls_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace godwit::channel

// Where a vectored transfer stands.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits.h>
#include <span>
#include <sys/uio.h>

namespace godwit::channel {

/// Hands out what is left of a list of parts in pieces that one system call takes. While nothing was cut in
/// the middle it hands out the caller's own array: no copy in the common case.
class IovecCursor {
 public:
  explicit IovecCursor(std::span<const iovec> parts) : rest_(parts) { skip_empty(); }

  bool done() const { return rest_.empty(); }

  /// Up to IOV_MAX parts, valid until the next call. Not empty unless done().
  std::span<const iovec> batch() {
    const auto count = std::min<std::size_t>(rest_.size(), IOV_MAX);
    if (consumed_ == 0) return rest_.first(count);
    std::copy_n(rest_.begin(), count, scratch_.begin());
    scratch_[0].iov_base = static_cast<std::byte*>(scratch_[0].iov_base) + consumed_;
    scratch_[0].iov_len -= consumed_;
    return std::span<const iovec>(scratch_).first(count);
  }

  /// The first `count` bytes of the last batch are transferred.
  void advance(std::size_t count) {
    count += consumed_;
    while (!rest_.empty() && count >= rest_.front().iov_len) {
      count -= rest_.front().iov_len;
      rest_ = rest_.subspan(1);
    }
    consumed_ = count;
  }

 private:
  void skip_empty() {
    while (!rest_.empty() && rest_.front().iov_len == 0) rest_ = rest_.subspan(1);
  }

  std::span<const iovec> rest_;
  std::size_t consumed_ = 0;  // of rest_.front()
  std::array<iovec, IOV_MAX> scratch_;
};

/// How many bytes the parts have room for.
inline std::size_t total_size(std::span<const iovec> parts) {
  std::size_t size = 0;
  for (const iovec& part : parts) size += part.iov_len;
  return size;
}

}  // namespace godwit::channel

// Descriptors that a client handed over: by name (getfd), or as members of an fd set (add-fd).
#pragma once

#include <string_view>

#include <godwit/result.h>

namespace godwit {

class UniqueFd;

/// Where `fd:NAME` and `/dev/fdset/N` are looked up (control-plane sections 9.1 and 13). The monitor
/// implements it; an embedder without one may pass NoDescriptors.
///
/// Threads: both methods may be called from any thread, also while a monitor adds and removes descriptors.
class DescriptorSource {
 public:
  virtual ~DescriptorSource() = default;

  /// Takes the descriptor that was stored under `name` out of the store; the caller owns it from now on.
  /// Error: `File descriptor named 'NAME' has not been found`.
  virtual Result<UniqueFd> take_named(std::string_view name) = 0;

  /// A duplicate, close-on-exec, of the member of the set "/dev/fdset/N" whose access mode is that of `flags`
  /// (O_RDONLY, O_WRONLY or O_RDWR); the set keeps its own. Fails if there is no such set or no such member.
  virtual Result<UniqueFd> open_fdset(std::string_view path, int flags) = 0;
};

/// A source that has none.
class NoDescriptors final : public DescriptorSource {
 public:
  Result<UniqueFd> take_named(std::string_view name) override;
  Result<UniqueFd> open_fdset(std::string_view path, int flags) override;
};

}  // namespace godwit

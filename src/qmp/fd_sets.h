// The sets of descriptors that add-fd makes and /dev/fdset/N opens (control-plane section 13).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

#include "base/system.h"

namespace godwit::qmp {

/// One per process, shared by all monitors. Thread-safe.
class FdSets {
 public:
  struct Member {
    int fd;  ///< its number in this process
    std::optional<std::string> opaque;
  };
  struct Set {
    std::int64_t id;
    std::vector<Member> members;
  };

  struct Added {
    std::int64_t id;
    int fd;
  };

  /// Puts `fd` into the set `id`, which is made if need be; without id into a new one with the lowest free
  /// number. Error: `Parameter 'fdset-id' expects a non-negative value`.
  Result<Added> add(UniqueFd fd, std::optional<std::int64_t> id, std::optional<std::string> opaque);

  /// Closes one member, or all, and forgets the set when it is empty. Duplicates that open() gave away stay
  /// open. Error: `File descriptor named 'fdset-id:7, fd:3' not found`.
  Result<> remove(std::int64_t id, std::optional<std::int64_t> fd);

  /// All sets, highest number first.
  std::vector<Set> list() const;

  /// A duplicate, close-on-exec, of the member of "/dev/fdset/N" whose access mode is that of `flags`.
  /// Errors: `Could not parse fdset PATH`, `Could not dup FD for PATH flags F: ` and the system's reason.
  Result<UniqueFd> open(std::string_view path, int flags) const;

  /// Closes everything: done when the last client has left.
  void clear();

 private:
  struct Owned {
    UniqueFd fd;
    std::optional<std::string> opaque;
  };
  std::int64_t lowest_free() const;
  static Set describe(std::int64_t id, const std::vector<Owned>& members);

  mutable std::mutex mutex_;
  std::map<std::int64_t, std::vector<Owned>> sets_;
};

}  // namespace godwit::qmp

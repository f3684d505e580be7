// The named descriptors of one monitor (getfd), and its way to the sets of the process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <godwit/descriptors.h>
#include <godwit/result.h>

#include "base/system.h"
#include "qmp/fd_sets.h"

namespace godwit::qmp {

/// Belongs to a monitor, not to a connection: a client that comes back finds its descriptors. Thread-safe.
class DescriptorStore final : public DescriptorSource {
 public:
  explicit DescriptorStore(std::shared_ptr<FdSets> sets) : sets_(std::move(sets)) {}

  /// Keeps `fd` under `name`; one of that name is closed first.
  /// Error: `Parameter 'fdname' expects a name not starting with a digit`.
  Result<> store(std::string name, UniqueFd fd);

  /// Error: `File descriptor named 'x' not found`.
  Result<> close(std::string_view name);

  Result<UniqueFd> take_named(std::string_view name) override;
  Result<UniqueFd> open_fdset(std::string_view path, int flags) override { return sets_->open(path, flags); }

  FdSets& sets() { return *sets_; }

 private:
  /// The descriptor of that name, no longer stored, or none.
  UniqueFd extract(std::string_view name);

  std::shared_ptr<FdSets> sets_;
  std::mutex mutex_;
  std::map<std::string, UniqueFd, std::less<>> named_;
};

}  // namespace godwit::qmp

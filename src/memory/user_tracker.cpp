#include <godwit/user_tracker.h>

#include "base/fail.h"
#include "memory/uffd_async_tracker.h"
#include "memory/uffd_sync_tracker.h"

namespace godwit {

Result<std::unique_ptr<DirtyTracker>> make_user_tracker() {
  auto async = memory::UffdAsyncTracker::create();
  if (async) return *std::move(async);
  auto sync = memory::UffdSyncTracker::create();
  if (sync) return *std::move(sync);
  Error error(fmt::format("writes to memory cannot be tracked: asynchronously: {}; synchronously: {}",
                          async.error().what(), sync.error().what()));
  const std::string& advice = sync.error().advice().empty() ? async.error().advice() : sync.error().advice();
  if (!advice.empty()) error = std::move(error).advise(advice);
  return std::unexpected<Error>(std::move(error));
}

}  // namespace godwit

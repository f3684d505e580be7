// The state of this process's pages, as the kernel's page tables have it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <godwit/result.h>

#include "base/system.h"
#include "memory/kernel_abi.h"

namespace godwit::memory {

/// What to look for; see PageScanArgument.
struct PageQuery {
  std::uint64_t flags = 0;
  std::uint64_t all_of = 0;
  std::uint64_t any_of = 0;
  std::uint64_t inverted = 0;
};

/// /proc/self/pagemap with PAGEMAP_SCAN. One thread at a time.
class Pagemap {
 public:
  /// Fails, and says so, on kernels before 6.7.
  static Result<Pagemap> open();

  /// Calls `found(first address, end address)` for every run of matching pages in the `length` bytes at
  /// `start`, in ascending order; neighbouring runs may come in pieces.
  Result<> scan(const std::byte* start, std::uint64_t length, const PageQuery& query,
                const std::function<void(std::uint64_t, std::uint64_t)>& found);

 private:
  explicit Pagemap(UniqueFd fd);

  UniqueFd fd_;
  // The kernel writes them: only as much as it finds becomes resident.
  std::unique_ptr<PageRegion[]> regions_;
};

}  // namespace godwit::memory

#include "engine/statistics.h"

#include <godwit/ram_block.h>

namespace godwit::engine {

schema::MigrationStats RamCounters::to_schema(bool completed) const {
  const auto integer = [](const Counter& counter) { return static_cast<std::int64_t>(counter.load()); };
  schema::MigrationStats out;
  out.transferred = integer(transferred_bytes);
  out.total = integer(total_bytes);
  out.remaining = completed ? 0 : integer(dirty_pages) * static_cast<std::int64_t>(page_size);
  out.duplicate = integer(zero_pages);
  out.skipped = 0;
  out.normal = integer(normal_pages);
  out.normal_bytes = out.normal * static_cast<std::int64_t>(page_size);
  out.dirty_pages_rate = completed ? 0 : integer(dirty_pages_per_second);
  out.mbps = mbps.load();
  out.dirty_sync_count = integer(synchronizations);
  out.postcopy_requests = integer(postcopy_requests);
  out.page_size = static_cast<std::int64_t>(page_size);
  out.multifd_bytes = 0;
  out.pages_per_second = pages_per_second.load();
  out.precopy_bytes = precopy_bytes.load();
  out.downtime_bytes = downtime_bytes.load();
  out.postcopy_bytes = postcopy_bytes.load();
  out.dirty_sync_missed_zero_copy = 0;
  return out;
}

}  // namespace godwit::engine

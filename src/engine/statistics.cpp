#include "engine/statistics.h"

#include <godwit/ram_block.h>

namespace godwit::engine {

namespace {

std::int64_t integer(const Counter& counter) {
  return static_cast<std::int64_t>(counter.load());
}

}  // namespace

schema::MigrationStats RamCounters::to_schema(bool completed) const {
  schema::MigrationStats out;
  out.transferred = integer(main_channel_bytes) + integer(multifd_bytes);
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
  out.multifd_bytes = multifd_bytes.load();
  out.pages_per_second = pages_per_second.load();
  out.precopy_bytes = precopy_bytes.load();
  out.downtime_bytes = downtime_bytes.load();
  out.postcopy_bytes = postcopy_bytes.load();
  out.dirty_sync_missed_zero_copy = missed_zero_copy.load();
  return out;
}

schema::XBZRLECacheStats XbzrleCounters::to_schema(std::uint64_t cache_bytes) const {
  schema::XBZRLECacheStats out;
  out.cache_size = cache_bytes;
  out.bytes = integer(bytes);
  out.pages = integer(hits);
  out.cache_miss = integer(misses);
  out.cache_miss_rate = miss_rate.load();
  out.encoding_rate = encoding_rate.load();
  out.overflow = integer(overflows);
  return out;
}

schema::CompressionStats CompressionCounters::to_schema() const {
  schema::CompressionStats out;
  out.pages = integer(pages);
  out.busy = integer(busy);
  out.busy_rate = busy_rate.load();
  out.compressed_size = integer(bytes);
  out.compression_rate = compression_rate.load();
  return out;
}

}  // namespace godwit::engine

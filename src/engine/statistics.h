// What query-migrate shows of an outgoing migration (control-plane section 6). Written by the migration
// thread, read by anyone: each figure is atomic by itself, the set is not a snapshot.
#pragma once

#include <atomic>
#include <cstdint>

#include <godwit/ram_block.h>
#include <godwit/schema/types.h>

#include "base/clock.h"

namespace godwit::engine {

using Counter = std::atomic<std::uint64_t>;

/// The RAM section's figures (section 6.3).
struct RamCounters {
  Counter total_bytes{0};
  Counter main_channel_bytes{0};  ///< payload of the ram section: page headers, pages and markers
  Counter zero_pages{0};
  Counter normal_pages{0};
  Counter encoded_pages{0};  ///< sent as deltas or compressed
  Counter handled_pages{0};  ///< dirty pages looked at, whatever became of them
  Counter dirty_pages{0};    ///< not sent yet, as far as the last synchronisation and the sends since know
  Counter synchronizations{0};
  Counter dirty_pages_per_second{0};
  Counter pages_per_second{0};
  Counter precopy_bytes{0};
  Counter downtime_bytes{0};
  Counter postcopy_bytes{0};
  Counter postcopy_requests{0};  ///< page requests received
  Counter multifd_bytes{0};
  Counter missed_zero_copy{0};  ///< synchronisations of channels in which bytes were copied all the same
  std::atomic<double> mbps{0};

  std::uint64_t pages_sent() const { return zero_pages + normal_pages + encoded_pages; }
  schema::MigrationStats to_schema(bool completed) const;
};

/// What the lane of deltas has done. The rates are those of the last period.
struct XbzrleCounters {
  Counter bytes{0};  ///< of records without their first 8 bytes, and a page for each that overflowed
  Counter hits{0};
  Counter misses{0};
  Counter overflows{0};
  std::atomic<double> miss_rate{0};
  std::atomic<double> encoding_rate{0};

  schema::XBZRLECacheStats to_schema(std::uint64_t cache_bytes) const;
};

/// What the lane of compressed pages has done. The rates are those of the last period.
struct CompressionCounters {
  Counter pages{0};
  Counter busy{0};
  Counter bytes{0};  ///< of records without their first 8 bytes
  std::atomic<double> busy_rate{0};
  std::atomic<double> compression_rate{0};

  schema::CompressionStats to_schema() const;
};

struct Statistics {
  RamCounters ram;
  XbzrleCounters xbzrle;
  CompressionCounters compression;
  std::atomic<int> throttle_percent{0};  ///< 0: the guest is not throttled
  std::atomic<std::int64_t> started_ns{0};
  std::atomic<std::int64_t> total_ms{-1};  ///< -1 while it grows
  std::atomic<std::int64_t> setup_ms{0};
  std::atomic<std::int64_t> downtime_ms{0};
  std::atomic<std::int64_t> expected_downtime_ms{0};

  /// Bytes of guest memory that did not go because deltas or compressed pages went instead.
  std::uint64_t spared_bytes() const {
    const std::uint64_t went = xbzrle.bytes - xbzrle.overflows * page_size + compression.bytes;
    const std::uint64_t raw = ram.encoded_pages * page_size;
    return raw > went ? raw - went : 0;
  }

  std::int64_t total_ms_at(Nanoseconds now) const {
    const std::int64_t final_ms = total_ms.load();
    return final_ms >= 0 ? final_ms : to_ms(now - Nanoseconds(started_ns.load()));
  }
};

}  // namespace godwit::engine

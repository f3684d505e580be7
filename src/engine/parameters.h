// The migration parameters: defaults, ranges and texts (control-plane section 8).
#pragma once

#include <cstdint>
#include <string>

#include <godwit/result.h>
#include <godwit/schema/types.h>

#include "wire/multifd.h"

namespace godwit::engine {

/// Every parameter with its unit in the name where it has one. Plain data.
struct Parameters {
  std::uint64_t announce_initial_ms = 50;
  std::uint64_t announce_max_ms = 550;
  std::uint64_t announce_rounds = 5;
  std::uint64_t announce_step_ms = 100;
  std::uint8_t compress_level = 1;
  std::uint8_t compress_threads = 8;
  bool compress_wait_thread = true;
  std::uint8_t decompress_threads = 2;
  std::uint8_t throttle_trigger_threshold_percent = 50;
  std::uint8_t cpu_throttle_initial_percent = 20;
  std::uint8_t cpu_throttle_increment_percent = 10;
  bool cpu_throttle_tailslow = false;
  std::string tls_creds;
  std::string tls_hostname;
  std::string tls_authz;
  std::uint64_t max_bandwidth = 128ull << 20;  ///< bytes per second; 0: no limit
  std::uint64_t downtime_limit_ms = 300;
  std::uint32_t x_checkpoint_delay_ms = 20000;
  bool block_incremental = false;
  std::uint8_t multifd_channels = 2;
  std::uint64_t xbzrle_cache_size = 64ull << 20;  ///< bytes
  std::uint64_t max_postcopy_bandwidth = 0;       ///< bytes per second; 0: no limit
  std::uint8_t max_cpu_throttle_percent = 99;
  schema::MultiFDCompression multifd_compression = schema::MultiFDCompression::none;
  std::uint8_t multifd_zlib_level = 1;
  std::uint8_t multifd_zstd_level = 1;
  std::optional<std::vector<schema::BitmapMigrationNodeAlias>> block_bitmap_mapping;
  std::uint64_t vcpu_dirty_limit_period_ms = 1000;
  std::uint64_t vcpu_dirty_limit = 1;  ///< MiB per second
  schema::ZeroPageDetection zero_page_detection = schema::ZeroPageDetection::legacy;
  bool direct_io = false;
  std::uint32_t postcopy_timeout_ms = 10'000;  ///< 0: never
  bool postcopy_auto_recover = false;

  /// These parameters with `changes` merged in, or the first range error. All or nothing.
  Result<Parameters> with(const schema::MigrateSetParameters& changes) const;
  schema::MigrationParameters to_schema() const;
};

/// How the pages of multifd packets are encoded.
wire::MultifdMethod multifd_method(const Parameters& parameters);

}  // namespace godwit::engine

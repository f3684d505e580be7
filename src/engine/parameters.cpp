#include "engine/parameters.h"

#include <bit>
#include <limits>
#include <optional>

#include <godwit/ram_block.h>

#include "base/fail.h"

namespace godwit::engine {
namespace {

/// One ranged parameter: its name as error texts have it, its limits, and the words for them. The words are
/// part of the interface: two of them are odd, and clients have met them that way.
struct Range {
  const char* name;
  std::uint64_t Parameters::* wide = nullptr;
  std::uint8_t Parameters::* narrow = nullptr;
  std::uint64_t least;
  std::uint64_t most;
  const char* text;

  std::uint64_t value(const Parameters& p) const { return wide ? p.*wide : p.*narrow; }
};

using P = Parameters;
constexpr Range kRanges[] = {
    {"compress_level", nullptr, &P::compress_level, 0, 9, "a value between 0 and 9"},
    {"compress_threads", nullptr, &P::compress_threads, 1, 255, "a value between 1 and 255"},
    {"decompress_threads", nullptr, &P::decompress_threads, 1, 255, "a value between 1 and 255"},
    {"throttle_trigger_threshold", nullptr, &P::throttle_trigger_threshold_percent, 1, 100,
     "an integer in the range of 1 to 100"},
    {"cpu_throttle_initial", nullptr, &P::cpu_throttle_initial_percent, 1, 99,
     "an integer in the range of 1 to 99"},
    {"cpu_throttle_increment", nullptr, &P::cpu_throttle_increment_percent, 1, 99,
     "an integer in the range of 1 to 99"},
    {"downtime_limit", &P::downtime_limit_ms, nullptr, 0, 2'000'000,
     "an integer in the range of 0 to (2000 * 1000) ms"},
    {"multifd_channels", nullptr, &P::multifd_channels, 1, 255, "a value between 1 and 255"},
    {"multifd_zlib_level", nullptr, &P::multifd_zlib_level, 0, 9, "a value between 0 and 9"},
    {"multifd_zstd_level", nullptr, &P::multifd_zstd_level, 0, 20, "a value between 0 and 20"},
    {"announce_initial", &P::announce_initial_ms, nullptr, 0, 100'000, "a value between 0 and 100000"},
    {"announce_max", &P::announce_max_ms, nullptr, 0, 100'000, "a value between 0 and 100000"},
    {"announce_rounds", &P::announce_rounds, nullptr, 0, 1000, "a value between 0 and 1000"},
    {"announce_step", &P::announce_step_ms, nullptr, 1, 10'000, "a value between 0 and 10000"},
    {"x_vcpu_dirty_limit_period", &P::vcpu_dirty_limit_period_ms, nullptr, 1, 1000,
     "a value between 1 and 1000"},
    {"vcpu_dirty_limit", &P::vcpu_dirty_limit, nullptr, 1, std::numeric_limits<std::uint64_t>::max() >> 20,
     "a value of at least 1"},
};

Result<> check(const Parameters& p) {
  for (const Range& range : kRanges) {
    if (range.value(p) < range.least || range.value(p) > range.most)
      return fail("Parameter '{}' expects {}", range.name, range.text);
  }
  if (p.xbzrle_cache_size < page_size || !std::has_single_bit(p.xbzrle_cache_size))
    return fail("Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size");
  if (p.postcopy_timeout_ms > 3'600'000)
    return fail("Parameter 'x_postcopy_timeout' expects a value between 0 and 3600000");
  if (p.max_cpu_throttle_percent < p.cpu_throttle_initial_percent || p.max_cpu_throttle_percent > 99)
    return fail("Parameter 'max_cpu_throttle' expects an integer in the range of cpu_throttle_initial to 99");
  return {};
}

template <typename T>
void merge(T& value, const std::optional<T>& change) {
  if (change) value = *change;
}

void merge(std::string& value, const std::optional<schema::StrOrNull>& change) {
  if (change) value = change->value.value_or("");
}

}  // namespace

Result<Parameters> Parameters::with(const schema::MigrateSetParameters& c) const {
  Parameters p = *this;
  merge(p.announce_initial_ms, c.announce_initial);
  merge(p.announce_max_ms, c.announce_max);
  merge(p.announce_rounds, c.announce_rounds);
  merge(p.announce_step_ms, c.announce_step);
  merge(p.compress_level, c.compress_level);
  merge(p.compress_threads, c.compress_threads);
  merge(p.compress_wait_thread, c.compress_wait_thread);
  merge(p.decompress_threads, c.decompress_threads);
  merge(p.throttle_trigger_threshold_percent, c.throttle_trigger_threshold);
  merge(p.cpu_throttle_initial_percent, c.cpu_throttle_initial);
  merge(p.cpu_throttle_increment_percent, c.cpu_throttle_increment);
  merge(p.cpu_throttle_tailslow, c.cpu_throttle_tailslow);
  merge(p.tls_creds, c.tls_creds);
  merge(p.tls_hostname, c.tls_hostname);
  merge(p.tls_authz, c.tls_authz);
  merge(p.max_bandwidth, c.max_bandwidth);
  merge(p.downtime_limit_ms, c.downtime_limit);
  merge(p.x_checkpoint_delay_ms, c.x_checkpoint_delay);
  merge(p.block_incremental, c.block_incremental);
  merge(p.multifd_channels, c.multifd_channels);
  merge(p.xbzrle_cache_size, c.xbzrle_cache_size);
  merge(p.max_postcopy_bandwidth, c.max_postcopy_bandwidth);
  merge(p.max_cpu_throttle_percent, c.max_cpu_throttle);
  merge(p.multifd_compression, c.multifd_compression);
  merge(p.multifd_zlib_level, c.multifd_zlib_level);
  merge(p.multifd_zstd_level, c.multifd_zstd_level);
  if (c.block_bitmap_mapping) p.block_bitmap_mapping = c.block_bitmap_mapping;
  merge(p.vcpu_dirty_limit_period_ms, c.x_vcpu_dirty_limit_period);
  merge(p.vcpu_dirty_limit, c.vcpu_dirty_limit);
  merge(p.zero_page_detection, c.zero_page_detection);
  merge(p.direct_io, c.direct_io);
  merge(p.postcopy_timeout_ms, c.x_postcopy_timeout);
  merge(p.postcopy_auto_recover, c.x_postcopy_auto_recover);
  GODWIT_TRY(check(p));
  return p;
}

schema::MigrationParameters Parameters::to_schema() const {
  schema::MigrationParameters out;
  out.announce_initial = announce_initial_ms;
  out.announce_max = announce_max_ms;
  out.announce_rounds = announce_rounds;
  out.announce_step = announce_step_ms;
  out.compress_level = compress_level;
  out.compress_threads = compress_threads;
  out.compress_wait_thread = compress_wait_thread;
  out.decompress_threads = decompress_threads;
  out.throttle_trigger_threshold = throttle_trigger_threshold_percent;
  out.cpu_throttle_initial = cpu_throttle_initial_percent;
  out.cpu_throttle_increment = cpu_throttle_increment_percent;
  out.cpu_throttle_tailslow = cpu_throttle_tailslow;
  out.tls_creds = tls_creds;
  out.tls_hostname = tls_hostname;
  out.tls_authz = tls_authz;
  out.max_bandwidth = max_bandwidth;
  out.downtime_limit = downtime_limit_ms;
  out.x_checkpoint_delay = x_checkpoint_delay_ms;
  out.block_incremental = block_incremental;
  out.multifd_channels = multifd_channels;
  out.xbzrle_cache_size = xbzrle_cache_size;
  out.max_postcopy_bandwidth = max_postcopy_bandwidth;
  out.max_cpu_throttle = max_cpu_throttle_percent;
  out.multifd_compression = multifd_compression;
  out.multifd_zlib_level = multifd_zlib_level;
  out.multifd_zstd_level = multifd_zstd_level;
  out.block_bitmap_mapping = block_bitmap_mapping;
  // Newer than 7.2, or ours: clients that compare the whole answer with what they know only meet them when
  // they are in use.
  const Parameters defaults;
  if (vcpu_dirty_limit_period_ms != defaults.vcpu_dirty_limit_period_ms)
    out.x_vcpu_dirty_limit_period = vcpu_dirty_limit_period_ms;
  if (vcpu_dirty_limit != defaults.vcpu_dirty_limit) out.vcpu_dirty_limit = vcpu_dirty_limit;
  if (zero_page_detection != defaults.zero_page_detection) out.zero_page_detection = zero_page_detection;
  if (direct_io) out.direct_io = true;
  if (postcopy_timeout_ms != defaults.postcopy_timeout_ms) out.x_postcopy_timeout = postcopy_timeout_ms;
  if (postcopy_auto_recover) out.x_postcopy_auto_recover = true;
  return out;
}

wire::MultifdMethod multifd_method(const Parameters& parameters) {
  switch (parameters.multifd_compression) {
    case schema::MultiFDCompression::zlib:
      return wire::MultifdMethod::zlib;
    case schema::MultiFDCompression::zstd:
      return wire::MultifdMethod::zstd;
    case schema::MultiFDCompression::none:
      break;
  }
  return wire::MultifdMethod::none;
}

}  // namespace godwit::engine

// Capabilities and parameters of this process, shared by all threads of the engine.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "engine/capabilities.h"
#include "engine/parameters.h"

namespace godwit::engine {

/// Thread-safe. What takes effect while a migration runs is read from here each time; the rest is copied by
/// the migration when it starts.
class Settings {
 public:
  Settings() { publish(parameters_); }

  Capabilities capabilities() const {
    std::lock_guard lock(mutex_);
    return capabilities_;
  }
  void set(const Capabilities& capabilities) {
    std::lock_guard lock(mutex_);
    capabilities_ = capabilities;
  }
  bool has(Capability capability) const { return capabilities().has(capability); }

  Parameters parameters() const {
    std::lock_guard lock(mutex_);
    return parameters_;
  }
  Result<> change(const schema::MigrateSetParameters& changes) {
    std::lock_guard lock(mutex_);
    GODWIT_ASSIGN(const Parameters changed, parameters_.with(changes));
    GODWIT_TRY(check_beside_parameters(capabilities_, changed));
    parameters_ = changed;
    publish(parameters_);
    return {};
  }

  /// Read for every window and batch, hence without the lock.
  std::uint64_t max_bandwidth() const { return max_bandwidth_.load(std::memory_order_relaxed); }
  std::uint64_t downtime_limit_ms() const { return downtime_limit_ms_.load(std::memory_order_relaxed); }
  std::uint64_t max_postcopy_bandwidth() const {
    return max_postcopy_bandwidth_.load(std::memory_order_relaxed);
  }
  std::uint32_t postcopy_timeout_ms() const { return postcopy_timeout_ms_.load(std::memory_order_relaxed); }
  std::uint64_t xbzrle_cache_size() const { return xbzrle_cache_size_.load(std::memory_order_relaxed); }
  bool compress_wait_thread() const { return compress_wait_thread_.load(std::memory_order_relaxed); }

 private:
  void publish(const Parameters& p) {
    max_bandwidth_.store(p.max_bandwidth, std::memory_order_relaxed);
    downtime_limit_ms_.store(p.downtime_limit_ms, std::memory_order_relaxed);
    max_postcopy_bandwidth_.store(p.max_postcopy_bandwidth, std::memory_order_relaxed);
    postcopy_timeout_ms_.store(p.postcopy_timeout_ms, std::memory_order_relaxed);
    xbzrle_cache_size_.store(p.xbzrle_cache_size, std::memory_order_relaxed);
    compress_wait_thread_.store(p.compress_wait_thread, std::memory_order_relaxed);
  }

  mutable std::mutex mutex_;
  Capabilities capabilities_;
  Parameters parameters_;
  std::atomic<std::uint64_t> max_bandwidth_{0};
  std::atomic<std::uint64_t> downtime_limit_ms_{0};
  std::atomic<std::uint64_t> max_postcopy_bandwidth_{0};
  std::atomic<std::uint32_t> postcopy_timeout_ms_{0};
  std::atomic<std::uint64_t> xbzrle_cache_size_{0};
  std::atomic<bool> compress_wait_thread_{true};
};

}  // namespace godwit::engine

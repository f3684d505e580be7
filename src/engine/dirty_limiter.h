// Limits how fast each vCPU writes to memory, by what it writes itself: a vCPU above its limit is denied
// time, one below it is not (control-plane section 12.1: vCPU dirty limits).
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <godwit/guest.h>
#include <godwit/schema/types.h>

#include "base/clock.h"

namespace godwit::engine {

/// The share of its time that a vCPU may run: measurements go in, shares come out. Plain arithmetic.
class VcpuShare {
 public:
  /// In the period that ends the vCPU wrote so many bytes per second; `limit` bytes per second are allowed.
  /// The share from here on.
  double period_ended(double bytes_per_second, double limit);
  double share() const { return share_; }

 private:
  /// A vCPU always goes on: one two-thousandth of its time.
  static constexpr double least = 1.0 / 2000;
  double share_ = 1;
};

/// All vCPUs of a guest. Needs a tracker that tells them apart. Thread-safe; a thread of its own,
/// `dirty-limit`, measures as long as there is a limit.
class DirtyLimiter {
 public:
  DirtyLimiter(Guest& guest, Clock& clock) : guest_(guest), clock_(clock) {}
  ~DirtyLimiter() { cancel_all(); }
  DirtyLimiter(const DirtyLimiter&) = delete;
  DirtyLimiter& operator=(const DirtyLimiter&) = delete;

  /// Whether the guest's vCPUs can be told apart.
  static bool possible(Guest& guest) { return !guest.dirty_tracker().pages_by_vcpu().empty(); }

  /// Limits one vCPU, or all of them. Measured over `period`.
  Result<> set(std::optional<std::int64_t> vcpu, std::uint64_t mib_per_second,
               Milliseconds period = Milliseconds(1000));
  /// Lifts the limit of one vCPU, or of all of them.
  Result<> cancel(std::optional<std::int64_t> vcpu);
  void cancel_all() noexcept;

  /// One entry for each vCPU; none while no vCPU is limited.
  std::vector<schema::DirtyLimitInfo> info() const;
  /// How long the most limited vCPU was kept waiting in the last period.
  std::chrono::microseconds longest_wait() const;

 private:
  struct Vcpu {
    std::uint64_t limit_mib = 0;  ///< per second; 0: none
    double bytes_per_second = 0;  ///< in the last period
    std::uint64_t pages_before = 0;
    VcpuShare share = {};
  };

  Result<> check(std::optional<std::int64_t> vcpu) const;
  void lift(std::size_t vcpu);
  void run();
  void period_ended(Nanoseconds length);
  void stop_if_idle(std::unique_lock<std::mutex>& lock) noexcept;

  Guest& guest_;
  Clock& clock_;
  std::mutex control_;        ///< one change at a time; taken before mutex_
  mutable std::mutex mutex_;  ///< guards what follows
  std::vector<Vcpu> vcpus_;
  Nanoseconds period_{0};
  Event stop_;
  std::jthread thread_;  ///< with control_ held
};

}  // namespace godwit::engine

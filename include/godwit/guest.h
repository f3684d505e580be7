// The port between the engine and a virtual machine monitor. Who implements Guest can be migrated.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <godwit/device_section.h>
#include <godwit/dirty_tracker.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>
#include <godwit/run_state.h>

namespace godwit {

/// 16 bytes in the order of the text form.
using Uuid = std::array<std::uint8_t, 16>;

/// A virtual machine as the engine needs it. All methods may be called from the migration thread and from the
/// thread that gives the engine its commands; the implementation locks what it must.
class Guest {
 public:
  virtual ~Guest() = default;

  /// The machine type, sent in the configuration section and compared on the other side.
  virtual std::string machine_name() const = 0;
  /// Unset: no UUID is sent and none is checked.
  virtual std::optional<Uuid> uuid() const { return std::nullopt; }

  /// In the order of the stream's block list. Fixed for the life of the Migration object.
  virtual std::span<const RamBlock> ram_blocks() const = 0;
  virtual DirtyTracker& dirty_tracker() = 0;

  /// In the order in which they are saved. `timer`, if there is one, comes first. The engine adds
  /// `globalstate`.
  virtual std::span<const std::unique_ptr<DeviceSection>> device_sections() = 0;

  virtual RunState run_state() const = 0;

  /// `running` starts the vCPUs, anything else stops them if they run and takes that state. When it returns
  /// for a stopped state, no guest instruction executes and no device writes to guest memory. An error leaves
  /// the state as it was.
  virtual Result<> set_run_state(RunState state) = 0;

  /// A destination that was started with -S, or told to stop while it waited, does not run by itself.
  virtual bool autostart() const { return true; }

  /// The kernel's ids of the vCPU threads, in the order of the vCPUs: whose waiting for pages
  /// postcopy-blocktime measures. Asked for once, before the guest runs.
  virtual std::vector<int> vcpu_thread_ids() const { return {}; }

  /// 0 stops throttling; 1 to 99 is the share of time the vCPUs sleep.
  virtual void set_throttle(int percent) { (void)percent; }

  /// The share of its time that vCPU number `vcpu` may run, above 0 and at most 1, which lifts the limit.
  /// Beside the throttle of all.
  virtual void limit_vcpu(std::size_t vcpu, double share) { (void)vcpu, (void)share; }

  /// Why this guest cannot be migrated now, one sentence each; empty when it can.
  virtual std::vector<std::string> blockers() const { return {}; }
};

}  // namespace godwit

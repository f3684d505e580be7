// The virtual machine: RAM, vCPUs, devices and their run state, behind the engine's Guest port.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/guest.h>

#include "vm/machine_config.h"

namespace godwit::vm {

/// Told what happens, on the thread on which it does: pass it on, do not call back. on_stop() and on_resume()
/// come one at a time, in the order of the changes, with the machine's state lock held; the others come from
/// vCPU threads, at any time.
class MachineObserver {
 public:
  virtual ~MachineObserver() = default;
  virtual void on_stop() = 0;                    ///< running -> stopped: the STOP event
  virtual void on_resume() = 0;                  ///< stopped -> running: the RESUME event
  virtual void on_guest_reset_request() = 0;     ///< the guest asked for a reset (triple fault, port 0xcf9)
  virtual void on_guest_shutdown_request() = 0;  ///< the guest asked to be switched off
  /// A vCPU cannot go on; the machine stops in internal-error. `what` is for stderr.
  virtual void on_internal_error(std::string what) = 0;
};

struct VcpuInfo {
  int thread_id = 0;  ///< the kernel's id of the vCPU thread; what query-cpus-fast reports
  unsigned index = 0;
};

class Machine : public Guest {
 public:
  /// Builds the machine with the vCPUs stopped, in prelaunch or inmigrate. `chosen` messages for the user
  /// (e.g. that Unicorn stands in for KVM) go to stderr.
  static Result<std::unique_ptr<Machine>> create(MachineConfig config, MachineObserver& observer);

  virtual std::string_view accelerator() const = 0;  ///< "kvm", "tcg" or "qtest"
  virtual std::vector<VcpuInfo> vcpus() const = 0;

  /// `stop`, `cont`, `system_reset` of the monitor, with control-plane section 3's rules and texts.
  /// Thread-safe.
  virtual Result<> monitor_stop() = 0;
  virtual Result<> monitor_cont() = 0;
  virtual Result<> monitor_reset() = 0;

  /// Guest-physical memory, from any thread and in any run state. What is not RAM reads as all ones and
  /// ignores writes, as on the bus. Writes mark pages dirty. May block on a page that postcopy has not
  /// brought yet.
  virtual void read_memory(std::uint64_t guest_address, std::span<std::byte> into) = 0;
  virtual void write_memory(std::uint64_t guest_address, std::span<const std::byte> from) = 0;
  /// I/O ports, size 1, 2 or 4 bytes.
  virtual std::uint32_t read_port(std::uint16_t port, unsigned size) = 0;
  virtual void write_port(std::uint16_t port, unsigned size, std::uint32_t value) = 0;

  /// Bytes typed into COM1.
  virtual void serial_input(std::span<const std::uint8_t> bytes) = 0;
  /// MachineConfig::serial_line has room again after it had none.
  virtual void serial_line_ready() = 0;

  /// The vCPUs stop as soon as they can; does not wait for it.
  virtual void request_stop() = 0;
  /// Stops the vCPU threads for good and joins them. The destructor does it too.
  virtual void shut_down() = 0;
};

}  // namespace godwit::vm

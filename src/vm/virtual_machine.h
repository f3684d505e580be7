// The one implementation of Machine: board, accelerator, vCPUs and RAM put together, and their run state.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <godwit/clock.h>

#include "memory/dirty_marks.h"
#include "memory/marked_tracker.h"
#include "vm/accel/accelerator.h"
#include "vm/accel/interrupt_chips.h"
#include "vm/accel/vcpu_set.h"
#include "vm/board/board.h"
#include "vm/guest_clock.h"
#include "vm/guest_memory.h"
#include "vm/guest_timers.h"
#include "vm/machine.h"
#include "vm/run_state_machine.h"

namespace godwit::vm {

/// The clocks of a machine's devices.
class MachineTime final : public GuestTime {
 public:
  explicit MachineTime(const GuestClock& clock) : clock_(clock) {}
  std::int64_t now_ns(Base base) const override;

 private:
  const GuestClock& clock_;
};

/// Locking: state_mutex_ orders all changes of the run state and is held over them, observer included. A vCPU
/// thread takes it only while it is parked, so that who holds it may wait for the vCPUs to stop.
class VirtualMachine final : public Machine, private VcpuObserver {
 public:
  VirtualMachine(MachineConfig config, MachineObserver& observer);
  ~VirtualMachine() override { shut_down(); }
  Result<> build();

  // Guest
  std::string machine_name() const override { return config_.machine_name; }
  std::optional<Uuid> uuid() const override { return config_.uuid; }
  std::span<const RamBlock> ram_blocks() const override { return memory_.blocks(); }
  DirtyTracker& dirty_tracker() override { return *tracker_; }
  std::span<const std::unique_ptr<DeviceSection>> device_sections() override { return sections_; }
  RunState run_state() const override;
  Result<> set_run_state(RunState state) override;
  bool autostart() const override;
  void set_throttle(int percent) override { vcpus_.set_throttle(percent); }
  void limit_vcpu(std::size_t vcpu, double share) override { vcpus_.limit(vcpu, share); }
  std::vector<int> vcpu_thread_ids() const override;

  // Machine
  std::string_view accelerator() const override { return accelerator_->name(); }
  std::vector<VcpuInfo> vcpus() const override;
  Result<> monitor_stop() override;
  Result<> monitor_cont() override;
  Result<> monitor_reset() override;
  void read_memory(std::uint64_t guest_address, std::span<std::byte> into) override;
  void write_memory(std::uint64_t guest_address, std::span<const std::byte> from) override;
  std::uint32_t read_port(std::uint16_t port, unsigned size) override;
  void write_port(std::uint16_t port, unsigned size, std::uint32_t value) override;
  void serial_input(std::span<const std::uint8_t> bytes) override { board_->serial_input(bytes); }
  void serial_line_ready() override { board_->serial_line_ready(); }
  void request_stop() override { vcpus_.request_stop(); }
  void shut_down() override;

 private:
  // VcpuObserver
  void on_vcpu_reset(unsigned index) override;
  void on_vcpu_error(unsigned index, const Error& error) override;

  Result<> choose_accelerator();
  Result<> create_vcpus();
  void create_sections();
  void add_cpu_sections(unsigned index);
  void add_apic_section(unsigned index);
  Result<> create_chips();
  Result<> read_cpu(unsigned index);
  Result<> read_cpu_to_save(unsigned index);
  Result<> take_loaded_cpu(unsigned index);
  Result<> write_loaded_cpus();
  bool sends_clock() const;
  Result<> write_cpu(unsigned index);
  Result<> reset_vcpus();

  Result<> change_state(RunState next);  // with state_mutex_ held
  Result<> reset_devices_and_vcpus();    // with the vCPUs stopped

  const MachineConfig config_;
  MachineObserver& observer_;
  SteadyClock host_clock_;
  GuestClock clock_{host_clock_};
  const MachineTime time_{clock_};
  GuestTimers timers_{time_};

  GuestMemory memory_;
  std::unique_ptr<memory::DirtyMarks> marks_;
  std::unique_ptr<Board> board_;
  std::unique_ptr<Accelerator> accelerator_;
  std::unique_ptr<DirtyTracker> tracker_;
  VcpuSet vcpus_;
  std::unique_ptr<InterruptChips> chips_;  ///< none: the board has no interrupt controllers
  std::vector<CpuState> cpu_states_;       ///< what the sections are saved from and loaded into
  std::vector<ApicState> apic_states_;     ///< likewise
  std::vector<bool> awaits_apic_;          ///< by vCPU: loaded, and not yet set
  std::int64_t loaded_ticks_ = 0;  ///< the time stamp counter of a sender that keeps it beside the vCPUs
  std::vector<std::unique_ptr<DeviceSection>> sections_;

  mutable std::mutex state_mutex_;  // guards what follows
  RunStateMachine state_;
  bool autostart_;
};

}  // namespace godwit::vm

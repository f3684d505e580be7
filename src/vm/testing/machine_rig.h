// A machine under test, with its serial line and its events recorded so that tests can wait for them.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "vm/machine.h"
#include "vm/testing/witness.h"

namespace godwit::vm::testing {

/// True if /dev/kvm can be used.
bool has_kvm();
/// True if this build has Unicorn.
bool has_unicorn();

class MachineRig final : public MachineObserver {
 public:
  /// A pc with 32 MiB that boots `sector`, stopped. Fails the test if it cannot be built.
  MachineRig(const std::string& accelerator, std::span<const std::byte> sector,
             const std::function<void(MachineConfig&)>& adjust = {});
  ~MachineRig() override;

  Machine& operator*() { return *machine_; }
  Machine* operator->() { return machine_.get(); }
  explicit operator bool() const { return machine_ != nullptr; }

  std::string serial();
  /// "STOP", "RESUME", "RESET", "SHUTDOWN", "ERROR: text", in order.
  std::vector<std::string> events();

  /// Waits until the serial line has carried `text`.
  void wait_for_serial(const std::string& text);
  /// Waits until `count` events have begun with `start`.
  void wait_for_events(const std::string& start, long count);
  /// Looks at `condition` whenever the guest sends a byte, until it is true. False if it was not in a great
  /// many bytes.
  bool wait_until(const std::function<bool()>& condition);
  /// Waits until the witness rewrites its hot set.
  bool wait_until_ready();
  /// Waits until the guest has sent `count` more bytes.
  void wait_for_bytes(std::size_t count);

  void on_stop() override { record("STOP"); }
  void on_resume() override { record("RESUME"); }
  void on_guest_reset_request() override { record("RESET"); }
  void on_guest_shutdown_request() override { record("SHUTDOWN"); }
  void on_internal_error(std::string what) override { record("ERROR: " + what); }

 private:
  void record(std::string event);

  TemporaryFile disk_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string serial_;
  std::vector<std::string> events_;
  std::unique_ptr<Machine> machine_;
};

/// All RAM and device sections from one stopped machine to another one that waits.
void move_guest(Machine& from, Machine& to);

}  // namespace godwit::vm::testing

// Which side may run the guest. A value of its own, because the migration status does not say it: after an
// error the status is `failed` whether the guest may run here or not.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace godwit::engine {

/// Where the guest is allowed to run.
enum class Owner : std::uint8_t {
  here,     ///< this process may run it
  unknown,  ///< handed over, and the other side has not confirmed: this process never runs it by itself
  there,    ///< the other side has confirmed that it took it
};

std::string_view to_string(Owner owner);

/// Thread-safe. The source starts with `here`; a destination has its own, which starts with `there`.
class Ownership {
 public:
  explicit Ownership(Owner owner) : owner_(owner) {}

  Owner owner() const { return owner_.load(std::memory_order_acquire); }
  bool may_run_here() const { return owner() == Owner::here; }

  /// The one hand-over point of the source: called right before the byte that lets the destination run is
  /// written.
  void hand_over() { owner_.store(Owner::unknown, std::memory_order_release); }
  /// That byte provably never left this process, or the destination has said that it does not run the guest.
  void take_back() { owner_.store(Owner::here, std::memory_order_release); }
  /// The destination has said that it runs the guest.
  void confirm() { owner_.store(Owner::there, std::memory_order_release); }

 private:
  std::atomic<Owner> owner_;
};

}  // namespace godwit::engine

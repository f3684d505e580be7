// For tests: a KVM guest of one vCPU and a few instructions that writes to the pages it is told to.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "base/system.h"
#include "memory/kvm_slots.h"

struct kvm_run;

namespace godwit::memory::testing {

/// 64-bit code in ring 3 with a control area of its own (in a memory slot that no test tracks). A write
/// increments the 64-bit word at an address. Owned and driven by one thread; request_stop may come from
/// another.
class TinyGuest {
 public:
  /// `ring_entries` 0: without dirty rings. Nothing, with a reason on stderr, where there is no usable KVM.
  static std::unique_ptr<TinyGuest> make(std::uint32_t ring_entries = 0);
  ~TinyGuest();

  /// Gives the guest memory; slots are numbered from 1.
  Result<> add_slot(std::uint64_t guest_address, std::byte* host, std::uint64_t size);
  const std::vector<KvmSlot>& slots() const { return slots_; }

  int vm_fd() const { return vm_.get(); }
  int vcpu_fd() const { return vcpu_.get(); }

  /// Called when the vCPU leaves the guest because its dirty ring is full.
  void on_ring_full(std::function<Result<>()> handler) { on_ring_full_ = std::move(handler); }

  /// Writes once to each address (guest physical, 8-byte aligned), in order, and returns when all is done. At
  /// most max_writes.
  Result<> write(std::span<const std::uint64_t> addresses);
  /// The same in two steps, over and over until request_stop, which another thread may call after
  /// prepare_endless.
  void prepare_endless(std::span<const std::uint64_t> addresses) { prepare(addresses, true); }
  Result<> run();
  void request_stop();

  static constexpr std::size_t max_writes = 7 * 512;

 private:
  struct Control;
  TinyGuest() = default;
  Result<> set_up(std::uint32_t ring_entries);
  Result<> set_up_processor();
  void prepare(std::span<const std::uint64_t> addresses, bool endless);

  UniqueFd kvm_, vm_, vcpu_;
  Mapping control_mapping_;
  Mapping run_mapping_;
  Control* control_ = nullptr;
  kvm_run* run_ = nullptr;
  std::vector<KvmSlot> slots_;
  std::function<Result<>()> on_ring_full_;
};

}  // namespace godwit::memory::testing

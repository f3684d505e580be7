#include "vm/accel/kvm/kvm_accelerator.h"

#include <algorithm>
#include <bit>
#include <fcntl.h>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "memory/kvm_dirty_log_tracker.h"
#include "vm/accel/kvm/kvm_abi.h"
#include "vm/accel/kvm/kvm_chips.h"
#include "vm/accel/kvm/kvm_cpuid.h"
#include "vm/accel/kvm/kvm_vcpu.h"

namespace godwit::vm {
namespace {

/// Where the kernel may put its own pages on processors that cannot run real mode: nothing of ours is there.
constexpr std::uint64_t identity_map_address = 0xfeffc000;
constexpr unsigned long tss_address = 0xfeffd000;  // three pages

/// A ring this large holds what an interpreting KVM logs between two harvests; a smaller one stays full.
constexpr std::uint32_t least_dirty_ring_entries = 65536;

struct Need {
  int capability;
  const char* name;
};
constexpr Need needs[] = {{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
                          {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
                          {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
                          {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
                          {KVM_CAP_XCRS, "KVM_CAP_XCRS"},
                          {KVM_CAP_SYNC_MMU, "KVM_CAP_SYNC_MMU"},
                          {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"}};

}  // namespace

Result<std::unique_ptr<KvmAccelerator>> KvmAccelerator::open(KvmOptions options) {
  std::unique_ptr<KvmAccelerator> self(new KvmAccelerator);
  self->options_ = std::move(options);
  self->kvm_ = UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!self->kvm_) return system_error("cannot open /dev/kvm", errno);

  GODWIT_ASSIGN(const int api, kvm_call(self->kvm_, KVM_GET_API_VERSION, 0ul, "read the version"));
  if (api != KVM_API_VERSION) return fail("KVM: version {} of its interface is not {}", api, KVM_API_VERSION);
  for (const Need& need : needs)
    if (::ioctl(self->kvm_.get(), KVM_CHECK_EXTENSION, need.capability) <= 0)
      return fail("KVM: this kernel lacks {}", need.name);

  GODWIT_ASSIGN(const int size, kvm_call(self->kvm_, KVM_GET_VCPU_MMAP_SIZE, 0ul, "read the size of a vCPU"));
  self->run_size_ = static_cast<std::size_t>(size);
  GODWIT_ASSIGN(const int vm, kvm_call(self->kvm_, KVM_CREATE_VM, 0ul, "create a virtual machine"));
  self->vm_ = UniqueFd(vm);

  std::uint64_t identity = identity_map_address;
  GODWIT_TRY(kvm_call(self->vm_, KVM_SET_IDENTITY_MAP_ADDR, &identity, "set the identity map"));
  GODWIT_TRY(kvm_call(self->vm_, KVM_SET_TSS_ADDR, tss_address, "set the task state segment"));
  if (self->options_.interrupt_controllers)
    GODWIT_TRY(kvm_call(self->vm_, KVM_CREATE_IRQCHIP, 0ul, "create the interrupt controllers"));
  if (self->options_.dirty_ring_size != 0) GODWIT_TRY(self->enable_dirty_ring());
  GODWIT_TRY(self->read_cpu_description());
  return self;
}

Result<> KvmAccelerator::enable_dirty_ring() {
  const std::uint32_t most = memory::max_dirty_ring_entries(vm_.get());
  if (most == 0) {
    log::warn("this kernel's KVM has no dirty ring; using the dirty log");
    options_.dirty_ring_size = 0;
    return {};
  }
  if (options_.dirty_ring_size > most)
    return fail("dirty-ring-size {} is above {}, the most this kernel can have", options_.dirty_ring_size,
                most);
  std::uint32_t entries = std::bit_ceil(options_.dirty_ring_size);
  if (entries < least_dirty_ring_entries) {
    log::warn("dirty-ring-size {} is too small to be emptied in time; using {}", options_.dirty_ring_size,
              least_dirty_ring_entries);
    entries = least_dirty_ring_entries;
  }
  GODWIT_TRY(memory::enable_dirty_rings(vm_.get(), entries));
  options_.dirty_ring_size = entries;
  return {};
}

Result<> KvmAccelerator::read_cpu_description() {
  GODWIT_ASSIGN(cpuid_, supported_cpuid(kvm_));
  restrict_cpuid(cpuid_, options_.cpu_model);

  abi::MsrList none(0);  // the kernel refuses it and says how many there are
  if (::ioctl(kvm_.get(), abi::get_msr_index_list, none.header()) < 0 && errno != E2BIG)
    return system_error("KVM: cannot list the model specific registers", errno);
  abi::MsrList list(none.header()->count);
  GODWIT_TRY(kvm_call(kvm_, abi::get_msr_index_list, list.header(), "list the model specific registers"));
  msr_indices_.assign(list.entries().begin(), list.entries().end());
  std::ranges::sort(msr_indices_);
  return {};
}

Result<> KvmAccelerator::map_ram(std::span<const RamSlot> slots) {
  slots_.assign(slots.begin(), slots.end());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    kvm_userspace_memory_region region{};
    region.slot = static_cast<std::uint32_t>(i);
    region.guest_phys_addr = slots[i].guest_address;
    region.memory_size = slots[i].size;
    region.userspace_addr = reinterpret_cast<std::uint64_t>(slots[i].host);
    GODWIT_TRY(kvm_call(vm_, KVM_SET_USER_MEMORY_REGION, &region, "give the guest its memory"));
  }
  return {};
}

Result<std::unique_ptr<Vcpu>> KvmAccelerator::create_vcpu(unsigned index, Bus& bus) {
  GODWIT_ASSIGN(const int fd,
                kvm_call(vm_, KVM_CREATE_VCPU, static_cast<unsigned long>(index), "create a vCPU"));
  vcpu_fds_.push_back(fd);
  return KvmVcpu::create(
      UniqueFd(fd), run_size_, index, bus,
      {.cpuid = cpuid_, .msr_indices = msr_indices_, .has_apic = options_.interrupt_controllers},
      [this] { return reap_dirty_rings(); });
}

Result<std::unique_ptr<InterruptChips>> KvmAccelerator::create_chips(const ChipOptions& options) {
  return KvmChips::create(vm_, vcpu_fds_, options);
}

Result<std::unique_ptr<DirtyTracker>> KvmAccelerator::create_dirty_tracker() {
  std::vector<memory::KvmSlot> slots;
  slots.reserve(slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i)
    slots.push_back({.id = static_cast<std::uint32_t>(i),
                     .guest_address = slots_[i].guest_address,
                     .size = slots_[i].size,
                     .host = slots_[i].host});
  if (options_.dirty_ring_size == 0) return memory::KvmDirtyLogTracker::create(vm_.get(), std::move(slots));
  GODWIT_ASSIGN(auto tracker, memory::KvmDirtyRingTracker::create(vm_.get(), options_.dirty_ring_size,
                                                                  std::move(slots), vcpu_fds_));
  ring_tracker_ = tracker.get();
  return tracker;
}

Result<> KvmAccelerator::reap_dirty_rings() {
  memory::KvmDirtyRingTracker* tracker = ring_tracker_;
  return tracker ? tracker->reap() : fail("KVM: a dirty ring is full and nobody empties it");
}

}  // namespace godwit::vm

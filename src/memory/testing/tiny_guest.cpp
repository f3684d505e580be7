#include "memory/testing/tiny_guest.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/fail.h"
#include "memory/kvm_dirty_ring_tracker.h"

namespace godwit::memory::testing {
namespace {

constexpr std::uint64_t control_address = 0xF000'0000;  // guest physical and virtual
constexpr std::uint16_t done_port = 0x10;

// rsi = control area. r8: list, rcx: how many.
//   again: mov r8, rsi; add r8, 0x1000; mov rcx, [rsi]
//   next:  mov rdi, [r8]; inc qword [rdi]; add r8, 8; dec rcx; jnz next
//          cmp byte [rsi + 8], 0; jne again
//          out 0x10, al; jmp again
constexpr std::array<std::uint8_t, 39> program{
    0x49, 0x89, 0xf0,                          // mov r8, rsi
    0x49, 0x81, 0xc0, 0x00, 0x10, 0x00, 0x00,  // add r8, 0x1000
    0x48, 0x8b, 0x0e,                          // mov rcx, [rsi]
    0x49, 0x8b, 0x38,                          // next: mov rdi, [r8]
    0x48, 0xff, 0x07,                          // inc qword [rdi]
    0x49, 0x83, 0xc0, 0x08,                    // add r8, 8
    0x48, 0xff, 0xc9,                          // dec rcx
    0x75, 0xf1,                                // jnz next
    0x80, 0x7e, 0x08, 0x00,                    // cmp byte [rsi + 8], 0
    0x75, 0xde,                                // jne again
    0xe6, 0x10,                                // out done_port, al
    0xeb, 0xda,                                // jmp again
    0x90,
};

struct PageTables {
  std::array<std::uint64_t, 512> level4;
  std::array<std::uint64_t, 512> level3;
  std::array<std::array<std::uint64_t, 512>, 4> level2;  // 4 GiB in pages of 2 MiB, one to one
};

/// struct kvm_cpuid2, whose flexible array makes the kernel's own declaration, and with it the numbers of its
/// requests, wrong in C++ (Linux headers up to 6.4).
struct CpuidTable {
  std::uint32_t count;
  std::uint32_t padding;
  std::array<kvm_cpuid_entry2, 256> entries;
};
constexpr unsigned long get_supported_cpuid = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, 8);
constexpr unsigned long set_cpuid2 = _IOC(_IOC_WRITE, KVMIO, 0x90, 8);

Result<> call(int fd, unsigned long request, void* argument, const char* what) {
  if (::ioctl(fd, request, argument) < 0) return system_error(what, errno);
  return {};
}

kvm_segment flat_segment(std::uint16_t selector, std::uint8_t type, bool code) {
  kvm_segment segment{};
  segment.limit = 0xffff'ffff;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.dpl = 3;
  segment.db = code ? 0 : 1;
  segment.s = 1;
  segment.l = code ? 1 : 0;
  segment.g = 1;
  return segment;
}

}  // namespace

struct TinyGuest::Control {
  std::uint64_t count;
  std::uint8_t keep_going;
  std::uint8_t padding[page_size - 9];
  std::array<std::uint64_t, max_writes> list;  // page 1 to 7
  std::array<std::uint8_t, page_size> code;    // page 8
  std::array<std::uint8_t, page_size> task;    // page 9: a task state of zeros, which permits all ports
  PageTables tables;                           // page 10 and on
};

std::unique_ptr<TinyGuest> TinyGuest::make(std::uint32_t ring_entries) {
  std::unique_ptr<TinyGuest> guest(new TinyGuest);
  if (auto ready = guest->set_up(ring_entries); !ready) {
    std::fprintf(stderr, "no KVM guest: %s\n", ready.error().what().c_str());
    return nullptr;
  }
  return guest;
}

TinyGuest::~TinyGuest() = default;

Result<> TinyGuest::set_up(std::uint32_t ring_entries) {
  kvm_.reset(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm_) return system_error("/dev/kvm", errno);
  vm_.reset(::ioctl(kvm_.get(), KVM_CREATE_VM, 0));
  if (!vm_) return system_error("KVM_CREATE_VM", errno);
  if (ring_entries != 0) GODWIT_TRY(enable_dirty_rings(vm_.get(), ring_entries));
  vcpu_.reset(::ioctl(vm_.get(), KVM_CREATE_VCPU, 0));
  if (!vcpu_) return system_error("KVM_CREATE_VCPU", errno);

  const auto run_size = static_cast<std::size_t>(::ioctl(kvm_.get(), KVM_GET_VCPU_MMAP_SIZE, 0));
  GODWIT_ASSIGN(run_mapping_, Mapping::map(run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_.get()));
  run_ = reinterpret_cast<kvm_run*>(run_mapping_.data());
  static_assert(offsetof(Control, list) == page_size && offsetof(Control, tables) == 10 * page_size);
  const std::size_t control_size = (sizeof(Control) + page_size - 1) / page_size * page_size;
  GODWIT_ASSIGN(control_mapping_,
                Mapping::map(control_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
  control_ = reinterpret_cast<Control*>(control_mapping_.data());
  GODWIT_TRY(add_slot(control_address, control_mapping_.data(), control_size));
  slots_.clear();  // not one a test tracks
  return set_up_processor();
}

Result<> TinyGuest::set_up_processor() {
  std::memcpy(control_->code.data(), program.data(), program.size());
  constexpr std::uint64_t writable_user_page = 0x7;
  const std::uint64_t tables = control_address + offsetof(Control, tables);
  control_->tables.level4[0] = (tables + offsetof(PageTables, level3)) | writable_user_page;
  for (std::uint64_t gib = 0; gib < 4; ++gib) {
    control_->tables.level3[gib] =
        (tables + offsetof(PageTables, level2) + gib * page_size) | writable_user_page;
    for (std::uint64_t entry = 0; entry < 512; ++entry)
      control_->tables.level2[gib][entry] = (gib << 30 | entry << 21) | writable_user_page | 0x80;
  }

  const auto cpuid = std::make_unique<CpuidTable>();
  cpuid->count = static_cast<std::uint32_t>(cpuid->entries.size());
  GODWIT_TRY(call(kvm_.get(), get_supported_cpuid, cpuid.get(), "KVM_GET_SUPPORTED_CPUID"));
  GODWIT_TRY(call(vcpu_.get(), set_cpuid2, cpuid.get(), "KVM_SET_CPUID2"));

  kvm_sregs system{};
  GODWIT_TRY(call(vcpu_.get(), KVM_GET_SREGS, &system, "KVM_GET_SREGS"));
  system.cs = flat_segment(0x33, 11, true);
  system.ds = system.es = system.fs = system.gs = system.ss = flat_segment(0x2b, 3, false);
  // Not every KVM honours the I/O privilege level for an interpreted port access; all ask the task state.
  system.tr = flat_segment(0x40, 11, false);
  system.tr.s = system.tr.dpl = system.tr.g = system.tr.db = 0;
  system.tr.base = control_address + offsetof(Control, task);
  system.tr.limit = page_size - 1;
  system.cr0 = 0x8000'0011;  // paging, protection
  system.cr3 = tables;
  system.cr4 = 0x20;    // physical address extension
  system.efer = 0x500;  // long mode enabled and active
  GODWIT_TRY(call(vcpu_.get(), KVM_SET_SREGS, &system, "KVM_SET_SREGS"));
  kvm_regs general{};
  general.rip = control_address + offsetof(Control, code);
  general.rsi = control_address;
  general.rflags = 0x3002;  // ring 3 may use ports
  return call(vcpu_.get(), KVM_SET_REGS, &general, "KVM_SET_REGS");
}

Result<> TinyGuest::add_slot(std::uint64_t guest_address, std::byte* host, std::uint64_t size) {
  kvm_userspace_memory_region region{};
  region.slot = guest_address == control_address ? 0 : static_cast<std::uint32_t>(slots_.size() + 1);
  region.guest_phys_addr = guest_address;
  region.memory_size = size;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(host);
  GODWIT_TRY(call(vm_.get(), KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION"));
  slots_.push_back({region.slot, guest_address, size, host});
  return {};
}

void TinyGuest::prepare(std::span<const std::uint64_t> addresses, bool endless) {
  assert(addresses.size() <= max_writes);
  std::ranges::copy(addresses, control_->list.begin());
  control_->count = addresses.size();
  std::atomic_ref(control_->keep_going).store(endless ? 1 : 0);
}

void TinyGuest::request_stop() {
  std::atomic_ref(control_->keep_going).store(0);
}

Result<> TinyGuest::write(std::span<const std::uint64_t> addresses) {
  if (addresses.empty()) return {};
  prepare(addresses, false);
  return run();
}

Result<> TinyGuest::run() {
  while (true) {
    if (::ioctl(vcpu_.get(), KVM_RUN, 0) < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return system_error("KVM_RUN", errno);
    }
    switch (run_->exit_reason) {
      case KVM_EXIT_IO:
        if (run_->io.port == done_port) return {};
        return fail("the guest used port {:#x}", run_->io.port);
      case KVM_EXIT_DIRTY_RING_FULL:
        if (!on_ring_full_) return fail("the dirty ring is full and nobody empties it");
        GODWIT_TRY(on_ring_full_());
        break;
      default:
        return fail("the guest stopped for reason {} at {:#x}", run_->exit_reason, run_->s.regs.regs.rip);
    }
  }
}

}  // namespace godwit::memory::testing

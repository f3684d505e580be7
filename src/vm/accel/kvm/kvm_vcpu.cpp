#include "vm/accel/kvm/kvm_vcpu.h"

#include <atomic>
#include <cstring>
#include <mutex>
#include <signal.h>
#include <sys/mman.h>
#include <utility>

#include "base/fail.h"
#include "vm/accel/kvm/kvm_calls.h"

namespace godwit::vm {
namespace {

/// Its only effect is that KVM_RUN returns. It is blocked in all threads but those of the vCPUs.
constexpr int kick_signal = SIGUSR1;

void install_kick_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(kick_signal, &action, nullptr);
  });
}

/// In the words of the kernel's documentation; the numbers of KVM_EXIT_INTERNAL_ERROR.
const char* internal_error_text(std::uint32_t suberror) {
  switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
      return "an instruction that it cannot interpret";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
      return "an exception while it delivered another";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
      return "an unexpected exit while it delivered an event";
    default:
      return "an internal error";
  }
}

}  // namespace

KvmVcpu::KvmVcpu(UniqueFd fd, Mapping run_page, unsigned index, Bus& bus, bool has_apic,
                 std::function<Result<>()> reap_dirty_rings)
    : fd_(std::move(fd)),
      run_page_(std::move(run_page)),
      index_(index),
      bus_(bus),
      has_apic_(has_apic),
      reap_dirty_rings_(std::move(reap_dirty_rings)) {}

Result<std::unique_ptr<Vcpu>> KvmVcpu::create(UniqueFd fd, std::size_t run_size, unsigned index, Bus& bus,
                                              const KvmCpuTraits& traits,
                                              std::function<Result<>()> reap_dirty_rings) {
  install_kick_handler();
  GODWIT_ASSIGN(Mapping page, Mapping::map(run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get()));
  std::unique_ptr<KvmVcpu> self(
      new KvmVcpu(std::move(fd), std::move(page), index, bus, traits.has_apic, std::move(reap_dirty_rings)));
  GODWIT_TRY(self->access_.prepare(self->fd_.get(), index, traits));
  return self;
}

Result<> KvmVcpu::attach() {
  thread_ = ::pthread_self();
  sigset_t kick;
  sigemptyset(&kick);
  sigaddset(&kick, kick_signal);
  if (const int error = ::pthread_sigmask(SIG_UNBLOCK, &kick, nullptr); error != 0)
    return system_error("cannot let vCPU " + std::to_string(index_) + " be interrupted", error);
  return {};
}

void KvmVcpu::interrupt() noexcept {
  // The flag stops a KVM_RUN that is about to begin, the signal one that has begun.
  std::atomic_ref(page()->immediate_exit).store(1);
  ::pthread_kill(thread_, kick_signal);
}

void KvmVcpu::clear_interrupt() noexcept {
  std::atomic_ref(page()->immediate_exit).store(0);
}

Result<VcpuExit> KvmVcpu::run() {
  if (waiting_) return VcpuExit::halted;
  for (;;) {
    const int result = ::ioctl(fd_.get(), KVM_RUN, 0ul);
    if (result < 0) {
      // Only here is an access that the guest began complete: KVM_RUN finishes it before it looks at the
      // flag.
      if (errno == EINTR || errno == EAGAIN) {
        if (std::atomic_ref(page()->immediate_exit).load() != 0) return VcpuExit::interrupted;
        continue;
      }
      return system_error("KVM: vCPU " + std::to_string(index_) + " cannot run", errno);
    }
    GODWIT_ASSIGN(const auto exit, handle_exit());
    if (exit) return *exit;
  }
}

Result<std::optional<VcpuExit>> KvmVcpu::handle_exit() {
  switch (page()->exit_reason) {
    case KVM_EXIT_IO:
      do_port_access();
      return std::nullopt;
    case KVM_EXIT_MMIO:
      do_memory_access();
      return std::nullopt;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return std::nullopt;
    case KVM_EXIT_HLT:
      waiting_ = true;
      return VcpuExit::halted;
    case KVM_EXIT_DIRTY_RING_FULL:
      GODWIT_TRY(reap_dirty_rings_());
      return std::nullopt;
    case KVM_EXIT_SHUTDOWN:
      return VcpuExit::reset;
    case KVM_EXIT_FAIL_ENTRY:
      return fail("KVM: vCPU {} cannot enter the guest, hardware reason {:#x}", index_,
                  std::uint64_t{page()->fail_entry.hardware_entry_failure_reason});
    case KVM_EXIT_INTERNAL_ERROR: {
      kvm_regs registers{};
      ::ioctl(fd_.get(), KVM_GET_REGS, &registers);
      return fail("KVM: vCPU {} met {} at rip {:#x} (suberror {})", index_,
                  internal_error_text(page()->internal.suberror), std::uint64_t{registers.rip},
                  std::uint32_t{page()->internal.suberror});
    }
    default:
      return fail("KVM: vCPU {} stopped for a reason that nobody handles ({})", index_,
                  std::uint32_t{page()->exit_reason});
  }
}

void KvmVcpu::do_port_access() {
  const auto& io = page()->io;
  std::byte* at = run_page_.data() + io.data_offset;
  for (std::uint32_t i = 0; i < io.count; ++i, at += io.size) {
    std::uint32_t value = 0;
    if (io.direction == KVM_EXIT_IO_OUT) {
      std::memcpy(&value, at, io.size);
      bus_.write_port(io.port, io.size, value);
    } else {
      value = bus_.read_port(io.port, io.size);
      std::memcpy(at, &value, io.size);
    }
  }
}

void KvmVcpu::do_memory_access() {
  auto& mmio = page()->mmio;
  const std::span<std::byte> data(reinterpret_cast<std::byte*>(mmio.data), mmio.len);
  if (mmio.is_write) {
    bus_.write_memory(mmio.phys_addr, data);
  } else {
    bus_.read_memory(mmio.phys_addr, data);
  }
}

Result<CpuState> KvmVcpu::state() {
  CpuState state;
  GODWIT_TRY(access_.get(state));
  if (!has_apic_) {
    state.halted = waiting_;
    state.mp_state = mp_state_;
  }
  return state;
}

Result<> KvmVcpu::set_state(const CpuState& state) {
  GODWIT_TRY(access_.set(state));
  mp_state_ = state.mp_state;
  waiting_ = !has_apic_ && (state.halted != 0 || state.mp_state == mp_state::uninitialized ||
                            state.mp_state == mp_state::halted);
  return {};
}

}  // namespace godwit::vm

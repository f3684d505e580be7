// What a missing page costs a vCPU when it is at hand: the guest's access leaves KVM, a thread of the same
// process reads the fault and places a page, the access is repeated. No request, no network: what postcopy
// takes beyond it is its own.
#include <algorithm>
#include <array>
#include <atomic>
#include <benchmark/benchmark.h>
#include <cstring>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
#include <x86intrin.h>

#include "base/thread.h"
#include "channel/wait.h"
#include "memory/ram.h"
#include "memory/userfault.h"
#include "vm/accel/kvm/kvm_accelerator.h"

namespace godwit::vm {
namespace {

constexpr std::uint64_t kPages = 8192;
constexpr std::uint64_t kMissingAt = 16 * 1024 * 1024;
constexpr std::uint64_t kMissingSize = kPages * page_size;
constexpr std::uint64_t kTables = 0x1000;
constexpr std::uint64_t kCode = 0x8000;
constexpr std::uint64_t kWaits = 0x100000;

/// Ring 3, 64 bits: reads a word of each page at rdi, rcx of them, and writes what that took to rsi, in
/// ticks; then a byte to port 0x10.
constexpr std::array<std::uint8_t, 50> kProgram{
    0x0f, 0x31,                                // 0: rdtsc
    0x48, 0xc1, 0xe2, 0x20,                    //    shl rdx, 32
    0x48, 0x09, 0xd0,                          //    or rax, rdx
    0x49, 0x89, 0xc0,                          //    mov r8, rax
    0x48, 0x8b, 0x1f,                          //    mov rbx, [rdi]
    0x0f, 0x31,                                //    rdtsc
    0x48, 0xc1, 0xe2, 0x20,                    //    shl rdx, 32
    0x48, 0x09, 0xd0,                          //    or rax, rdx
    0x4c, 0x29, 0xc0,                          //    sub rax, r8
    0x48, 0x89, 0x06,                          //    mov [rsi], rax
    0x48, 0x83, 0xc6, 0x08,                    //    add rsi, 8
    0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,  //    add rdi, 4096
    0x48, 0xff, 0xc9,                          //    dec rcx
    0x75, 0xd2,                                //    jnz 0
    0xe6, 0x10,                                //    out 0x10, al
    0xeb, 0xfe,                                //    jmp $
};

/// The guest says that it is done.
struct DoneBus final : Bus {
  std::uint32_t read_port(std::uint16_t, unsigned) override { return 0; }
  void write_port(std::uint16_t, unsigned, std::uint32_t) override { vcpu->interrupt(); }
  void read_memory(std::uint64_t, std::span<std::byte>) override {}
  void write_memory(std::uint64_t, std::span<const std::byte>) override {}

  Vcpu* vcpu = nullptr;
};

void write_tables(std::byte* ram) {
  constexpr std::uint64_t usable = 7;
  constexpr std::uint64_t huge = 0x80;
  const auto put = [ram](std::uint64_t at, std::uint64_t entry) { std::memcpy(ram + at, &entry, 8); };
  put(kTables, (kTables + page_size) | usable);
  put(kTables + page_size, (kTables + 2 * page_size) | usable);
  for (std::uint64_t i = 0; i < 32; ++i) put(kTables + 2 * page_size + 8 * i, (i << 21) | usable | huge);
}

Segment flat(std::uint16_t selector, std::uint32_t type, std::uint32_t more) {
  using namespace segment_flag;
  return {.selector = selector,
          .base = 0,
          .limit = 0xffffffff,
          .flags = type << type_shift | code_or_data | dpl_mask | present | granular | more};
}

CpuState at_start() {
  CpuState state;
  constexpr std::uint64_t physical_address_extension = 1u << 5;
  constexpr std::uint64_t ports_for_all = 3u << 12;
  state.cr0 = cr0_bit::protection | cr0_bit::extension_type | 1u << 5 | cr0_bit::paging;
  state.cr3 = kTables;
  state.cr4 = physical_address_extension;
  state.efer = efer_bit::long_mode_enable | efer_bit::long_mode_active;
  state.segments.fill(flat(0x2b, 3, segment_flag::wide));
  state.segments[cs] = flat(0x23, 11, segment_flag::long_code);
  state.tr = {.selector = 0,
              .base = 0,
              .limit = 0xffff,
              .flags = 11u << segment_flag::type_shift | segment_flag::present};
  state.rflags = 2 | ports_for_all;
  state.rip = kCode;
  state.registers[rdi] = kMissingAt;
  state.registers[rsi] = kWaits;
  state.registers[rcx] = kPages;
  return state;
}

enum class Handler : std::uint8_t { sleeps, spins, sleeps_on_the_same_processor };

void pin_to_first_processor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

/// Until `done`.
void handle_faults(memory::Userfault& userfault, Handler handler, const std::atomic<bool>& done) {
  std::vector<std::byte> page(page_size, std::byte{1});
  while (!done.load(std::memory_order_relaxed)) {
    uffd_msg message;
    if (::read(userfault.fd(), &message, sizeof message) == sizeof message) {
      auto* const at = reinterpret_cast<std::byte*>(message.arg.pagefault.address / page_size * page_size);
      if (!userfault.copy(at, page.data(), page_size)) return;
    } else if (handler != Handler::spins) {
      pollfd entry{userfault.fd(), POLLIN, 0};
      (void)channel::wait_for_any({&entry, 1},
                                  std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
    }
  }
}

double ticks_per_us() {
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t first = __rdtsc();
  auto now = start;
  while (now - start < std::chrono::milliseconds(20)) now = std::chrono::steady_clock::now();
  return static_cast<double>(__rdtsc() - first) /
         std::chrono::duration<double, std::micro>(now - start).count();
}

/// What the guest measured for each page, in microseconds, sorted. Empty: it did not run.
std::vector<double> run_guest(Handler handler) {
  const memory::GuestRam ram = memory::GuestRam::create({.size = 64 * 1024 * 1024}).value();
  ::madvise(ram.host(), 64 * 1024 * 1024, MADV_NOHUGEPAGE);
  write_tables(ram.host());
  std::memcpy(ram.host() + kCode, kProgram.data(), kProgram.size());
  std::memset(ram.host() + kWaits, 0, kPages * sizeof(std::uint64_t));

  auto userfault = memory::Userfault::open(0, memory::Userfault::Reach::everywhere);
  RamBlock missing = ram.block("missing");
  missing.host += kMissingAt;
  missing.size = kMissingSize;
  auto accelerator =
      KvmAccelerator::open({.dirty_ring_size = 0, .cpu_model = {}, .interrupt_controllers = false});
  if (!userfault || !userfault->enlist_missing(missing) || !accelerator) return {};
  const RamSlot slot{
      .guest_address = 0, .size = 64 * 1024 * 1024, .host = ram.host(), .block = 0, .block_offset = 0};
  DoneBus bus;
  if (!(*accelerator)->map_ram({&slot, 1})) return {};
  auto vcpu = (*accelerator)->create_vcpu(0, bus);
  if (!vcpu || !(*vcpu)->set_state(at_start())) return {};
  bus.vcpu = vcpu->get();

  const bool together = handler == Handler::sleeps_on_the_same_processor;
  std::atomic<bool> done = false;
  std::atomic<bool> ran = false;
  {
    const auto serving = start_thread("handler", [&](const std::stop_token&) {
      if (together) pin_to_first_processor();
      handle_faults(*userfault, handler, done);
    });
    const auto running = start_thread("vcpu", [&](const std::stop_token&) {
      if (together) pin_to_first_processor();
      ran = (*vcpu)->attach() && (*vcpu)->run() == VcpuExit::interrupted;
      done = true;
    });
  }
  if (!ran) return {};
  std::vector<std::uint64_t> ticks(kPages);
  std::memcpy(ticks.data(), ram.host() + kWaits, kPages * sizeof(std::uint64_t));
  std::ranges::sort(ticks);
  const double rate = ticks_per_us();
  std::vector<double> waits;
  for (const std::uint64_t each : ticks) waits.push_back(static_cast<double>(each) / rate);
  return waits;
}

void fault_of_a_vcpu(benchmark::State& state) {
  for ([[maybe_unused]] auto _ : state) {
    const std::vector<double> waits = run_guest(static_cast<Handler>(state.range(0)));
    if (waits.empty()) return state.SkipWithError("no KVM, no userfaultfd, or the guest did not run");
    state.SetIterationTime(waits[waits.size() / 2] * 1e-6);
    state.counters["p99_us"] = waits[waits.size() * 99 / 100];
  }
}
BENCHMARK(fault_of_a_vcpu)
    ->ArgName("handler")
    ->DenseRange(0, 2)
    ->Iterations(5)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace godwit::vm

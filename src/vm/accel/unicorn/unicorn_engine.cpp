#include "vm/accel/unicorn/unicorn_engine.h"

#include <algorithm>
#include <sys/mman.h>
#include <vector>

#include "base/fail.h"

namespace godwit::vm {
namespace {

constexpr std::size_t descriptor_table_size = 0x10000;
constexpr std::uint64_t four_gib = std::uint64_t{1} << 32;

Result<> check(uc_err error, const char* what) {
  if (error == UC_ERR_OK) return {};
  return fail("Unicorn: cannot {}: {}", what, uc_strerror(error));
}

uc_mode unicorn_mode(EngineMode mode) {
  switch (mode) {
    case EngineMode::real:
      return UC_MODE_16;
    case EngineMode::protected_32:
      return UC_MODE_32;
    case EngineMode::wide:
      return UC_MODE_64;
  }
  return UC_MODE_64;
}

void block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* client) {
  static_cast<EngineClient*>(client)->on_block(address, size);
}

void syscall_hook(uc_engine*, void* client) {
  static_cast<EngineClient*>(client)->on_syscall();
}

void exception_hook(uc_engine*, std::uint32_t vector, void* client) {
  static_cast<EngineClient*>(client)->on_exception(vector);
}

std::uint32_t in_hook(uc_engine*, std::uint32_t port, int size, void* bus) {
  return static_cast<Bus*>(bus)->read_port(static_cast<std::uint16_t>(port), static_cast<unsigned>(size));
}

void out_hook(uc_engine*, std::uint32_t port, int size, std::uint32_t value, void* bus) {
  static_cast<Bus*>(bus)->write_port(static_cast<std::uint16_t>(port), static_cast<unsigned>(size), value);
}

}  // namespace

Result<std::unique_ptr<UnicornEngine>> UnicornEngine::open(EngineMode mode, std::span<const RamSlot> slots,
                                                           Bus& bus, EngineClient& client) {
  std::unique_ptr<UnicornEngine> self(new UnicornEngine(mode, bus, client));
  GODWIT_TRY(check(uc_open(UC_ARCH_X86, unicorn_mode(mode), &self->engine_), "open an engine"));
  GODWIT_TRY(self->map(slots));
  GODWIT_TRY(self->add_hooks());
  return self;
}

UnicornEngine::~UnicornEngine() {
  if (engine_) uc_close(engine_);
}

Result<> UnicornEngine::map(std::span<const RamSlot> slots) {
  GODWIT_ASSIGN(descriptor_table_,
                Mapping::map(descriptor_table_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
  std::vector<RamSlot> all(slots.begin(), slots.end());
  all.push_back({descriptor_table_address, descriptor_table_.size(), descriptor_table_.data(), 0, 0});
  std::ranges::sort(all, {}, &RamSlot::guest_address);
  std::uint64_t end = 0;
  for (const RamSlot& slot : all) {
    GODWIT_TRY(map_gap(end, slot.guest_address));
    GODWIT_TRY(check(uc_mem_map_ptr(engine_, slot.guest_address, slot.size, UC_PROT_ALL, slot.host),
                     "give the guest its memory"));
    end = slot.guest_address + slot.size;
  }
  return map_gap(end, four_gib);
}

Result<> UnicornEngine::map_gap(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return {};
  Gap& gap = gaps_.emplace_back(&bus_, begin);
  const auto read = [](uc_engine*, std::uint64_t offset, unsigned size, void* user) -> std::uint64_t {
    const Gap& from = *static_cast<const Gap*>(user);
    std::uint64_t value = 0;
    from.bus->read_memory(from.address + offset, std::as_writable_bytes(std::span(&value, 1)).first(size));
    return value;
  };
  const auto write = [](uc_engine*, std::uint64_t offset, unsigned size, std::uint64_t value, void* user) {
    const Gap& to = *static_cast<const Gap*>(user);
    to.bus->write_memory(to.address + offset, std::as_bytes(std::span(&value, 1)).first(size));
  };
  return check(uc_mmio_map(engine_, begin, end - begin, read, &gap, write, &gap), "watch what is not memory");
}

Result<> UnicornEngine::add_hooks() {
  uc_hook hook = 0;
  // An empty range of addresses stands for all.
  GODWIT_TRY(
      check(uc_hook_add(engine_, &hook, UC_HOOK_BLOCK, reinterpret_cast<void*>(&block_hook), &client_, 1, 0),
            "watch blocks of code"));
  GODWIT_TRY(check(uc_hook_add(engine_, &hook, UC_HOOK_INSN, reinterpret_cast<void*>(&in_hook), &bus_, 1, 0,
                               UC_X86_INS_IN),
                   "watch port reads"));
  GODWIT_TRY(check(uc_hook_add(engine_, &hook, UC_HOOK_INSN, reinterpret_cast<void*>(&out_hook), &bus_, 1, 0,
                               UC_X86_INS_OUT),
                   "watch port writes"));
  GODWIT_TRY(check(
      uc_hook_add(engine_, &hook, UC_HOOK_INTR, reinterpret_cast<void*>(&exception_hook), &client_, 1, 0),
      "watch exceptions"));
  return check(uc_hook_add(engine_, &hook, UC_HOOK_INSN, reinterpret_cast<void*>(&syscall_hook), &client_, 1,
                           0, UC_X86_INS_SYSCALL),
               "watch system calls");
}

std::uint64_t UnicornEngine::read_msr(std::uint32_t index) const {
  uc_x86_msr msr{index, 0};
  uc_reg_read(engine_, UC_X86_REG_MSR, &msr);
  return msr.value;
}

void UnicornEngine::write_msr(std::uint32_t index, std::uint64_t value) {
  uc_x86_msr msr{index, value};
  uc_reg_write(engine_, UC_X86_REG_MSR, &msr);
}

uc_err UnicornEngine::run(std::uint64_t until, std::size_t count) {
  std::uint64_t begin = 0;
  switch (mode_) {
    case EngineMode::real:
      // It subtracts the selector times 16, whatever the base is.
      begin = read<std::uint16_t>(UC_X86_REG_IP) + read<std::uint16_t>(UC_X86_REG_CS) * std::uint64_t{16};
      break;
    case EngineMode::protected_32:
      begin = read<std::uint32_t>(UC_X86_REG_EIP);
      break;
    case EngineMode::wide:
      begin = read<std::uint64_t>(UC_X86_REG_RIP);
      break;
  }
  return uc_emu_start(engine_, begin, until, 0, count);
}

}  // namespace godwit::vm

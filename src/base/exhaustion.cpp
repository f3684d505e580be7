#include "base/exhaustion.h"

#include <atomic>
#include <sys/mman.h>

namespace godwit {
namespace {

/// Of address space, never touched. A thread that has no heap yet takes a page or more for each allocation.
constexpr std::size_t reserve_bytes = 4 * 1024 * 1024;

std::atomic<void*> reserve{nullptr};

void give_back(void* memory) {
  if (memory) ::munmap(memory, reserve_bytes);
}

}  // namespace

void MemoryReserve::fill() noexcept {
  if (reserve.load(std::memory_order_relaxed)) return;
  void* const memory =
      ::mmap(nullptr, reserve_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* none = nullptr;
  if (memory != MAP_FAILED && !reserve.compare_exchange_strong(none, memory)) give_back(memory);
}

void MemoryReserve::release() noexcept {
  give_back(reserve.exchange(nullptr));
}

Error out_of_memory() {
  MemoryReserve::release();
  return Error("Out of memory");
}

}  // namespace godwit

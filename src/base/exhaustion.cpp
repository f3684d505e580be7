#include "base/exhaustion.h"

#include <atomic>
#include <chrono>
#include <sys/mman.h>

namespace godwit {
namespace {

/// Of address space, never touched. A thread that has no heap yet takes a page or more for each allocation.
constexpr std::size_t reserve_bytes = 4 * 1024 * 1024;

constexpr std::chrono::seconds shortest_absence{1};

std::atomic<void*> reserve{nullptr};
std::atomic<std::chrono::steady_clock::duration> given_back_at{-shortest_absence};

void give_back(void* memory) {
  if (memory) ::munmap(memory, reserve_bytes);
}

}  // namespace

void MemoryReserve::fill() noexcept {
  if (reserve.load(std::memory_order_relaxed)) return;
  if (std::chrono::steady_clock::now().time_since_epoch() - given_back_at.load() < shortest_absence) return;
  fill_now();
}

void MemoryReserve::fill_now() noexcept {
  void* const memory =
      ::mmap(nullptr, reserve_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* none = nullptr;
  if (memory != MAP_FAILED && !reserve.compare_exchange_strong(none, memory)) give_back(memory);
}

void MemoryReserve::release() noexcept {
  given_back_at = std::chrono::steady_clock::now().time_since_epoch();
  give_back(reserve.exchange(nullptr));
}

bool MemoryReserve::is_there() noexcept {
  return reserve.load() != nullptr;
}

Error out_of_memory() {
  MemoryReserve::release();
  return Error("Out of memory");
}

}  // namespace godwit

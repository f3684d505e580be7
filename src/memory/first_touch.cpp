#include "memory/first_touch.h"

#include <sys/mman.h>

#include <godwit/ram_block.h>

#include "memory/kernel_abi.h"

namespace godwit::memory {
namespace {

constexpr std::uintptr_t huge_page_size = 2 * 1024 * 1024;

std::size_t huge_page_of(const std::byte* at) {
  return reinterpret_cast<std::uintptr_t>(at) / huge_page_size;
}

}  // namespace

FirstTouch::FirstTouch(std::byte* host, std::uint64_t size) : host_(host), state_(std::make_unique<State>()) {
  const std::size_t count = huge_page_of(host + size) - huge_page_of(host) + 1;
  state_->touched = std::make_unique<std::atomic<bool>[]>(count);
}

void FirstTouch::touch(std::span<const std::uint64_t> offsets) {
  const std::size_t first = huge_page_of(host_);
  for (const std::uint64_t offset : offsets) {
    const std::size_t index = huge_page_of(host_ + offset) - first;
    std::atomic<bool>& touched = state_->touched[index];
    if (touched.load(std::memory_order_relaxed)) continue;
    const std::lock_guard lock(state_->mutexes[index % state_->mutexes.size()]);
    if (touched.load(std::memory_order_relaxed)) continue;
    // Where this fails (kernels before 5.14), who writes touches it, and sees what is wrong.
    static_cast<void>(::madvise(host_ + offset, page_size, madv_populate_write));
    touched.store(true, std::memory_order_relaxed);
  }
}

}  // namespace godwit::memory

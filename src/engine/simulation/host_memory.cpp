#include "engine/simulation/host_memory.h"

#include <cstring>
#include <stdexcept>
#include <sys/mman.h>

namespace godwit::engine::simulation {
namespace {

memory::GuestRam make() {
  return *memory::GuestRam::create(
      {.size = HostMemory::most_pages * page_size, .transparent_huge_pages = false});
}

}  // namespace

HostMemory::HostMemory() : memory_{make(), make(), make()} {}

std::span<std::byte> HostMemory::of(unsigned host, std::uint64_t pages) {
  return {memory_.at(host - 1).host(), pages * page_size};
}

std::span<std::byte> HostMemory::zeroed(unsigned host, std::uint64_t pages) {
  const auto memory = of(host, pages);
  std::memset(memory.data(), 0, memory.size());
  return memory;
}

std::span<std::byte> HostMemory::untouched(unsigned host, std::uint64_t pages) {
  const auto memory = of(host, pages);
  if (::madvise(memory.data(), memory.size(), MADV_DONTNEED) != 0)
    throw std::runtime_error("guest memory cannot be given back");
  return memory;
}

}  // namespace godwit::engine::simulation

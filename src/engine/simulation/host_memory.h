// Memory for the guests of a run, used again by the next run: to map it and to touch it for the first time
// costs more than a migration does.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "memory/ram.h"

namespace godwit::engine::simulation {

/// Of one worker; a run at a time uses it.
class HostMemory {
 public:
  static constexpr std::uint64_t most_pages = 64;
  static constexpr unsigned hosts = 3;

  HostMemory();

  /// `pages` of memory of host 1, 2 or 3, as the last run left them.
  std::span<std::byte> of(unsigned host, std::uint64_t pages);
  /// The same, full of zeros: of a guest whose memory was preallocated.
  std::span<std::byte> zeroed(unsigned host, std::uint64_t pages);
  /// The same, as if nobody had ever touched them.
  std::span<std::byte> untouched(unsigned host, std::uint64_t pages);

 private:
  std::array<memory::GuestRam, hosts> memory_;
};

}  // namespace godwit::engine::simulation

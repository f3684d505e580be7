// Guest memory as the engine sees it: named blocks of host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace godwit {

/// The unit of the stream and of dirty tracking on x86 (wire-format section 3).
inline constexpr std::uint64_t page_size = 4096;

/// One block. The memory belongs to the guest and stays mapped and in place for the life of the Migration
/// object.
struct RamBlock {
  std::string name;                          ///< unique, 1 to 255 bytes; the same on both sides
  std::byte* host = nullptr;                 ///< start of the memory, page aligned
  std::uint64_t size = 0;                    ///< bytes, a multiple of page_size
  std::uint64_t host_page_size = page_size;  ///< bytes; of the memory behind it (huge pages: 2 MiB)
  std::uint64_t guest_address = 0;      ///< bytes; where the guest sees it, compared with x-ignore-shared
  bool shared = false;                  ///< mapped MAP_SHARED: x-ignore-shared leaves it out
  bool transparent_huge_pages = false;  ///< the kernel is asked to make huge pages here; postcopy ends that
                                        ///< while pages are missing, and asks again afterwards
  int fd = -1;  ///< the file whose first `size` bytes the memory maps, open as long as the block; -1: none or
                ///< unknown

  std::uint64_t pages() const { return size / page_size; }
};

}  // namespace godwit

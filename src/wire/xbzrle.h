// XBZRLE: what changed in a page since it was sent last (wire-format section 4.2). Runs of unchanged bytes
// are counted, runs of changed ones are counted and given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <godwit/ram_block.h>
#include <godwit/result.h>

namespace godwit::wire {

/// What comparing two versions of a page gave.
struct XbzrleDelta {
  enum class Kind : std::uint8_t {
    unchanged,  ///< the versions are equal
    encoded,    ///< `size` bytes of delta were written
    overflow,   ///< the delta would not be smaller than the page; what was written is to be dropped
  };
  Kind kind = Kind::unchanged;
  std::size_t size = 0;  ///< bytes; of `encoded`
  bool operator==(const XbzrleDelta&) const = default;
};

/// Encodes how `after` differs from `before`, both of page_size bytes. Neither may change meanwhile. Byte for
/// byte what a 7.2 source writes.
XbzrleDelta encode_xbzrle(const std::byte* before, const std::byte* after,
                          std::span<std::byte, page_size> delta);

/// The same without vectors, after the letter of the specification: what the other is tested against.
XbzrleDelta encode_xbzrle_scalar(const std::byte* before, const std::byte* after,
                                 std::span<std::byte, page_size> delta);

/// Makes the old version of a page the new one. `stream_offset` is where the delta begins in the stream:
/// errors name it. After an error the page is neither version.
Result<> apply_xbzrle(std::span<const std::byte> delta, std::span<std::byte, page_size> page,
                      std::uint64_t stream_offset);

}  // namespace godwit::wire

// Section "dirty-bitmap": the dirty bitmaps of disks (wire-format section 9).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <godwit/stream.h>

namespace godwit::wire {

inline constexpr std::string_view bitmap_section_name = "dirty-bitmap";
inline constexpr std::uint32_t bitmap_section_version = 1;
/// The most bytes of bits in one chunk.
inline constexpr std::uint64_t bitmap_buffer_limit = 10240;

/// One chunk, up to but without its bits.
struct BitmapChunk {
  enum class Kind : std::uint8_t {
    start,     ///< announces a bitmap
    bits,      ///< a range of its bits: `payload` bytes follow, none if all are clear
    complete,  ///< the bitmap is whole
    end,       ///< nothing but the end of the section's data
  };
  Kind kind = Kind::end;
  bool end = false;                   ///< the last chunk of the section's data
  std::optional<std::string> node;    ///< as sent: only if it is not that of the chunk before
  std::optional<std::string> bitmap;  ///< as sent, likewise
  std::uint32_t granularity = 0;      ///< of start: bytes, a power of two
  bool enabled = false;               ///< of start
  bool persistent = false;            ///< of start
  bool ignored = false;               ///< of start: sent by old sources, without effect
  bool zeroes = false;                ///< of bits: all in the range are clear
  std::uint64_t first_sector = 0;     ///< of bits, in sectors of 512 bytes
  std::uint32_t sectors = 0;          ///< of bits
  std::uint32_t payload = 0;          ///< how many bytes follow that belong to the chunk
  bool operator==(const BitmapChunk&) const = default;
};

/// Without the bits.
void encode_bitmap_chunk(Output& out, const BitmapChunk& chunk);

/// Decodes chunks and remembers the names, also across sections: one reader for the life of the stream.
class BitmapReader {
 public:
  Result<BitmapChunk> next(Input& in);

  /// What the chunk that next() gave last is about.
  const std::string& node() const { return node_; }
  const std::string& bitmap() const { return bitmap_; }

 private:
  Result<> names(Input& in, std::uint32_t flags, std::uint64_t offset, BitmapChunk& chunk);

  std::string node_;
  std::string bitmap_;
};

}  // namespace godwit::wire

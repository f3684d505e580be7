// What goes over the data channels of multifd: one initial packet per channel, then packets of pages
// (wire-format sections 6.1 to 6.3, and 16 for zero pages inside a packet).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <godwit/ram_block.h>
#include <godwit/stream.h>

#include "wire/ram.h"

namespace godwit::wire {

/// Both the initial packet and every other begin with it; the main channel begins with stream_magic.
inline constexpr std::uint32_t multifd_magic = 0x11223344;
inline constexpr std::uint32_t multifd_version = 1;

/// How the pages of a packet are encoded. The same on both sides and for all channels.
enum class MultifdMethod : std::uint8_t { none, zlib, zstd };

/// The first bytes of a channel.
struct MultifdHello {
  static constexpr std::size_t size = 64;
  std::array<std::uint8_t, 16> uuid{};  ///< of the source, in the order of the text form; zeros: it has none
  std::uint8_t channel = 0;
  bool operator==(const MultifdHello&) const = default;
};

void encode_multifd_hello(Output& out, const MultifdHello& hello);
Result<MultifdHello> decode_multifd_hello(Input& in);

/// The header of a packet. What is beyond normal_pages + zero_pages in `offsets`, and in a packet without
/// pages also `block` and `data_size`, is left over from earlier packets and means nothing.
struct MultifdPacket {
  static constexpr std::size_t header_size = 1344;
  static constexpr std::uint32_t page_limit = 128;       ///< pages in a packet
  static constexpr std::uint32_t data_limit = 1U << 20;  ///< bytes behind the header; compression may expand

  static constexpr std::uint32_t flag_sync = 0x1;

  std::uint32_t flags = 0;
  std::uint32_t capacity = page_limit;
  std::uint32_t normal_pages = 0;  ///< the first of `offsets`
  std::uint32_t zero_pages = 0;    ///< those behind them; newer than 7.2, whose receivers ignore the field
  std::uint32_t data_size = 0;     ///< bytes that follow the header, if there are normal pages
  std::uint64_t number = 0;        ///< counts all channels together; may repeat
  std::array<char, 256> block{};   ///< name, padded with NUL
  std::array<std::uint64_t, page_limit> offsets{};  ///< bytes in the block

  bool sync() const { return (flags & flag_sync) != 0; }
  std::uint32_t pages() const { return normal_pages + zero_pages; }
  std::string_view block_name() const;
  /// At most 255 bytes.
  void set_block(std::string_view name);
  std::span<const std::uint64_t> normal() const { return std::span(offsets).first(normal_pages); }
  std::span<const std::uint64_t> zero() const { return std::span(offsets).subspan(normal_pages, zero_pages); }
  /// Sets the flags of a packet with or without normal pages.
  void set_flags(bool sync, MultifdMethod method);
};

void encode_multifd_packet(const MultifdPacket& packet, std::span<std::byte, MultifdPacket::header_size> out);

/// Reads the packets of one channel and refuses what the receiver could not place.
class MultifdReader {
 public:
  /// `find_block` as for PageReader; it is asked once for each packet with pages.
  MultifdReader(MultifdMethod method, PageReader::FindBlock find_block)
      : method_(method), find_block_(std::move(find_block)) {}

  /// The next packet, up to its data: data() bytes follow. Every page of it is inside block().
  Result<> next(Input& in);

  const MultifdPacket& packet() const { return packet_; }
  KnownBlock block() const { return block_; }
  std::uint32_t data() const { return packet_.normal_pages > 0 ? packet_.data_size : 0; }

 private:
  Result<> check(std::uint64_t start);

  MultifdMethod method_;
  PageReader::FindBlock find_block_;
  MultifdPacket packet_;
  KnownBlock block_;
};

}  // namespace godwit::wire

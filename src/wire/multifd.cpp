#include "wire/multifd.h"

#include <algorithm>
#include <cassert>

#include "base/fail.h"

namespace godwit::wire {
namespace {

// Where the fields of a packet are.
constexpr std::size_t kBlockAt = 64;
constexpr std::size_t kOffsetsAt = 320;
static_assert(kOffsetsAt + 8 * MultifdPacket::page_limit == MultifdPacket::header_size);

constexpr std::uint32_t kMethodFlags = 0x3e;  ///< 7.2 has the lowest three, later versions all five

constexpr std::uint32_t flag_of(MultifdMethod method) {
  switch (method) {
    case MultifdMethod::none:
      return 0;
    case MultifdMethod::zlib:
      return 0x2;
    case MultifdMethod::zstd:
      return 0x4;
  }
  return 0;
}

template <typename T>
void put(std::byte* to, T value) {
  if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

template <typename T>
T get(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
  return value;
}

Result<> check_start(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (const auto magic = get<std::uint32_t>(bytes.data()); magic != multifd_magic)
    return fail("multifd: expected the magic {:#x} at offset {:#x}, got {:#x}", multifd_magic, offset, magic);
  if (const auto version = get<std::uint32_t>(bytes.data() + 4); version != multifd_version)
    return fail("multifd: expected version {} at offset {:#x}, got {}", multifd_version, offset + 4, version);
  return {};
}

}  // namespace

void encode_multifd_hello(Output& out, const MultifdHello& hello) {
  out.be32(multifd_magic);
  out.be32(multifd_version);
  out.bytes(std::as_bytes(std::span(hello.uuid)));
  out.u8(hello.channel);
  out.zeros(MultifdHello::size - 25);
}

Result<MultifdHello> decode_multifd_hello(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const auto bytes, in.need(MultifdHello::size));
  GODWIT_TRY(check_start(bytes, offset));
  MultifdHello hello;
  std::memcpy(hello.uuid.data(), bytes.data() + 8, hello.uuid.size());
  hello.channel = std::to_integer<std::uint8_t>(bytes[24]);
  in.skip(MultifdHello::size);
  return hello;
}

std::string_view MultifdPacket::block_name() const {
  return {block.data(), static_cast<std::size_t>(std::ranges::find(block, '\0') - block.begin())};
}

void MultifdPacket::set_block(std::string_view name) {
  assert(name.size() < block.size());
  std::ranges::fill(std::ranges::copy(name, block.begin()).out, block.end(), '\0');
}

void MultifdPacket::set_flags(bool sync, MultifdMethod method) {
  flags = (sync ? flag_sync : 0) | (normal_pages > 0 ? flag_of(method) : 0);
}

void encode_multifd_packet(const MultifdPacket& packet,
                           std::span<std::byte, MultifdPacket::header_size> out) {
  std::byte* const to = out.data();
  put(to, multifd_magic);
  put(to + 4, multifd_version);
  put(to + 8, packet.flags);
  put(to + 12, packet.capacity);
  put(to + 16, packet.normal_pages);
  put(to + 20, packet.data_size);
  put(to + 24, packet.number);
  put(to + 32, packet.zero_pages);
  std::memset(to + 36, 0, kBlockAt - 36);
  std::memcpy(to + kBlockAt, packet.block.data(), packet.block.size());
  for (std::size_t i = 0; i < packet.offsets.size(); ++i) put(to + kOffsetsAt + 8 * i, packet.offsets[i]);
}

Result<> MultifdReader::next(Input& in) {
  const std::uint64_t start = in.offset();
  GODWIT_ASSIGN(const auto bytes, in.need(MultifdPacket::header_size));
  GODWIT_TRY(check_start(bytes, start));
  const std::byte* const from = bytes.data();
  packet_.flags = get<std::uint32_t>(from + 8);
  packet_.capacity = get<std::uint32_t>(from + 12);
  packet_.normal_pages = get<std::uint32_t>(from + 16);
  packet_.data_size = get<std::uint32_t>(from + 20);
  packet_.number = get<std::uint64_t>(from + 24);
  packet_.zero_pages = get<std::uint32_t>(from + 32);
  std::memcpy(packet_.block.data(), from + kBlockAt, packet_.block.size());
  for (std::size_t i = 0; i < packet_.offsets.size(); ++i)
    packet_.offsets[i] = get<std::uint64_t>(from + kOffsetsAt + 8 * i);
  in.skip(MultifdPacket::header_size);
  return check(start);
}

Result<> MultifdReader::check(std::uint64_t start) {
  if ((packet_.flags & ~(MultifdPacket::flag_sync | kMethodFlags)) != 0)
    return fail("multifd packet: flags {:#x} at offset {:#x} are not known here", packet_.flags, start + 8);
  if (packet_.capacity > MultifdPacket::page_limit)
    return fail("multifd packet: expected room for at most {} pages at offset {:#x}, got {}",
                MultifdPacket::page_limit, start + 12, packet_.capacity);
  if (packet_.normal_pages > packet_.capacity)
    return fail("multifd packet: expected at most {} pages at offset {:#x}, got {}", packet_.capacity,
                start + 16, packet_.normal_pages);
  if (packet_.zero_pages > packet_.capacity - packet_.normal_pages)
    return fail("multifd packet: expected at most {} zero pages at offset {:#x}, got {}",
                packet_.capacity - packet_.normal_pages, start + 32, packet_.zero_pages);
  if (packet_.pages() == 0) return {};

  if (packet_.normal_pages > 0) {
    if ((packet_.flags & kMethodFlags) != flag_of(method_))
      return fail(
          Error(fmt::format("multifd packet: flags {:#x} at offset {:#x} say another compression than the "
                            "one chosen here",
                            packet_.flags, start + 8))
              .advise("set the same multifd-compression on both sides"));
    const std::uint32_t raw = packet_.normal_pages * static_cast<std::uint32_t>(page_size);
    if (method_ == MultifdMethod::none
            ? packet_.data_size != raw
            : packet_.data_size == 0 || packet_.data_size > MultifdPacket::data_limit)
      return fail("multifd packet: {} bytes of data for {} pages at offset {:#x}", packet_.data_size,
                  packet_.normal_pages, start + 20);
  }
  if (packet_.block.back() != '\0')
    return fail("multifd packet: the name of the block at offset {:#x} has no end", start + kBlockAt);
  auto block = find_block_(packet_.block_name());
  if (!block)
    return std::unexpected(std::move(block).error().in(
        fmt::format("multifd packet's block name at offset {:#x}", start + kBlockAt)));
  block_ = *block;
  for (std::uint32_t i = 0; i < packet_.pages(); ++i) {
    const std::uint64_t offset = packet_.offsets[i];
    if (offset % page_size != 0 || offset >= block_.length || block_.length - offset < page_size)
      return fail(
          "multifd packet: expected a page below {:#x}, the length of the block, at offset {:#x}, got {:#x}",
          block_.length, start + kOffsetsAt + 8 * i, offset);
  }
  return {};
}

}  // namespace godwit::wire

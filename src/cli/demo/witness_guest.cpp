#include "cli/demo/witness_guest.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "cli/demo/witness_binary.h"

namespace godwit::cli::demo {
namespace {

constexpr std::size_t parameters_offset = 512 - 2 - 24;
constexpr std::uint32_t fill_with_noise = 0xffffffff;

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);  // both are little-endian
  return value;
}

WitnessInfo decode(std::span<const std::byte> bytes) {
  WitnessInfo info;
  info.iterations = load<std::uint64_t>(bytes, 0x00);
  info.clock = load<std::uint64_t>(bytes, 0x08);
  info.pass = load<std::uint64_t>(bytes, 0x10);
  info.gaps = load<std::uint32_t>(bytes, 0x18);
  info.pages = load<std::uint32_t>(bytes, 0x20);
  info.errors = load<std::uint32_t>(bytes, 0x28);
  info.checking = bytes[check_request_address - info_address] != std::byte{0};
  return info;
}

}  // namespace

std::array<std::byte, 512> witness_image(const WitnessParameters& parameters) {
  std::array<std::byte, 512> image;
  static_assert(sizeof witness_binary == sizeof image);
  std::memcpy(image.data(), witness_binary, sizeof image);
  const std::uint32_t values[] = {parameters.fill_pages,     parameters.hot_pages, parameters.words,
                                  parameters.ticks_per_page, parameters.gap_ticks, fill_with_noise};
  std::memcpy(image.data() + parameters_offset, values, sizeof values);
  return image;
}

Result<WitnessInfo> read_info(GuestMemory& memory) {
  std::array<std::byte, 64> bytes;
  GODWIT_TRY(memory.read(info_address, bytes));
  auto info = decode(bytes);
  info.host_time = std::chrono::steady_clock::now();
  return info;
}

Result<std::vector<Gap>> read_gaps(GuestMemory& memory, std::uint32_t first, std::uint32_t count) {
  if (count > gap_ring_entries) {
    first += count - gap_ring_entries;
    count = gap_ring_entries;
  }
  std::vector<Gap> gaps(count);
  static_assert(sizeof(Gap) == 16);
  std::span<Gap> rest(gaps);
  while (!rest.empty()) {
    const std::uint32_t slot = first % gap_ring_entries;
    const auto part = rest.first(std::min<std::size_t>(rest.size(), gap_ring_entries - slot));
    GODWIT_TRY(memory.read(gap_ring_address + slot * sizeof(Gap), std::as_writable_bytes(part)));
    first += static_cast<std::uint32_t>(part.size());
    rest = rest.subspan(part.size());
  }
  return gaps;
}

Result<> request_check(GuestMemory& memory) {
  const std::byte one{1};
  return memory.write(check_request_address, {&one, 1});
}

}  // namespace godwit::cli::demo

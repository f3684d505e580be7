#include "engine/incoming/packet_input.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits.h>
#include <vector>

#include "wire/multifd.h"

namespace godwit::engine {
namespace {

/// Drops the first `count` bytes of room.
std::span<iovec> behind(std::span<iovec> places, std::size_t count) {
  while (!places.empty() && count >= places.front().iov_len) {
    count -= places.front().iov_len;
    places = places.subspan(1);
  }
  if (!places.empty()) {
    places.front().iov_base = static_cast<std::byte*>(places.front().iov_base) + count;
    places.front().iov_len -= count;
  }
  return places;
}

}  // namespace

PacketInput::PacketInput(channel::Channel& channel)
    : channel_(channel), window_(std::make_unique_for_overwrite<std::byte[]>(window_limit)) {
  at_ = end_ = window_.get();
}

Result<> PacketInput::scatter(std::span<iovec> places, std::size_t ahead) {
  static_assert(wire::MultifdPacket::page_limit + 1 <= IOV_MAX);
  assert(ahead <= window_limit && places.size() <= wire::MultifdPacket::page_limit);
  while (!places.empty() && at_ != end_) {
    const std::size_t ready = std::min(places.front().iov_len, static_cast<std::size_t>(end_ - at_));
    std::memcpy(places.front().iov_base, at_, ready);
    at_ += ready;
    places = behind(places, ready);
  }
  std::array<iovec, wire::MultifdPacket::page_limit + 1> parts;
  while (!places.empty()) {
    std::ranges::copy(places, parts.begin());
    parts[places.size()] = {window_.get(), ahead};
    std::size_t room = 0;
    for (const iovec& place : places) room += place.iov_len;
    GODWIT_ASSIGN(const std::size_t got, channel_.read(std::span(parts).first(places.size() + 1)));
    if (got == 0) return ends_early(room);
    const std::size_t placed = std::min(got, room);
    places = behind(places, placed);
    at_ = window_.get();
    end_ = at_ + (got - placed);
    window_end_offset_ += got;
  }
  return {};
}

Result<> PacketInput::fill(std::size_t count) {
  const auto kept = static_cast<std::size_t>(end_ - at_);
  if (kept != 0) std::memmove(window_.get(), at_, kept);
  at_ = window_.get();
  end_ = at_ + kept;
  while (static_cast<std::size_t>(end_ - at_) < count) {
    const auto have = static_cast<std::size_t>(end_ - at_);
    GODWIT_ASSIGN(const std::size_t got, channel_.read(std::span(window_.get() + have, count - have)));
    if (got == 0) return ends_early(count);
    end_ += got;
    window_end_offset_ += got;
  }
  return {};
}

Result<std::size_t> PacketInput::read_past_window(std::span<std::byte> into) {
  GODWIT_ASSIGN(const std::size_t got, channel_.read(into));
  if (got == 0) return ends_early(into.size());
  return got;  // the caller counts what was placed
}

Result<bool> PacketInput::nothing_follows() {
  at_ = end_ = window_.get();
  GODWIT_ASSIGN(const std::size_t got, channel_.read(std::span(window_.get(), std::size_t{1})));
  end_ = at_ + got;
  window_end_offset_ += got;
  return got == 0;
}

}  // namespace godwit::engine

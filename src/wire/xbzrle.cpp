#include "wire/xbzrle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "base/fail.h"

// Highway compiles this file once per target and picks one when the program runs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wire/xbzrle.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace godwit::wire::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One bit per byte of the page, set where the versions differ, and in the result one per word of those, set
// where it is not 0. The runs are then found a word, that is 64 bytes, at a time, and the pages are read once
// and in order.
std::uint64_t find_differences(const std::byte* before, const std::byte* after, std::uint64_t* differs) {
  const hn::CappedTag<std::uint8_t, 64> tag;
  const std::size_t lanes = hn::Lanes(tag);
  const auto* from = reinterpret_cast<const std::uint8_t*>(before);
  const auto* to = reinterpret_cast<const std::uint8_t*>(after);
  static_assert(page_size / 64 <= 64);
  std::uint64_t words = 0;
  for (std::size_t word = 0; word < page_size / 64; ++word) {
    std::uint64_t mask = 0;
    for (std::size_t at = 0; at < 64; at += lanes) {
      const std::size_t byte = word * 64 + at;
      std::uint64_t bits = 0;
      hn::StoreMaskBits(tag, hn::Ne(hn::LoadU(tag, from + byte), hn::LoadU(tag, to + byte)),
                        reinterpret_cast<std::uint8_t*>(&bits));
      mask |= bits << at;
    }
    differs[word] = mask;
    words |= std::uint64_t{mask != 0} << word;
  }
  return words;
}

// Where runs of changed bytes begin and end, in turns; the result is how many, and `edges` has room for
// page_size. How many edges a word has cannot be foreseen, but most have few: a few are written whether they
// are there or not, and the next word's take the place of what was too much. They stay in the word's own 64.
std::size_t find_edges(const std::byte* before, const std::byte* after, std::uint16_t* edges) {
  constexpr std::size_t few = 4;
  std::uint64_t differs[page_size / 64];
  const std::uint64_t words = find_differences(before, after, differs);
  std::size_t count = 0;
  // A run that reaches the end of a word ends in the next one.
  for (std::uint64_t left = words | words << 1; left != 0; left &= left - 1) {
    const auto word = static_cast<std::size_t>(std::countr_zero(left));
    const std::uint64_t carry = word == 0 ? 0 : differs[word - 1] >> 63;
    std::uint64_t edge = differs[word] ^ (differs[word] << 1 | carry);
    const auto put = [&](std::size_t at) {
      edges[at] = static_cast<std::uint16_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(edge)));
      edge &= edge - 1;
    };
    const std::size_t end = count + static_cast<std::size_t>(std::popcount(edge));
    for (std::size_t at = count; at < count + few; ++at) put(at);
    for (std::size_t at = count + few; at < end; ++at) put(at);
    count = end;
  }
  if (count % 2 == 1) edges[count++] = page_size;
  return count;
}

}  // namespace godwit::wire::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace godwit::wire {

HWY_EXPORT(find_edges);

namespace {

static_assert(std::endian::native == std::endian::little, "mask bits are stored byte by byte");

/// 1 or 2 bytes, and `to` has room for two; value <= 16383. Without a branch: lengths are hard to foresee.
std::size_t put_length(std::byte* to, std::size_t value) {
  const std::size_t longer = value >> 7 != 0 ? 1 : 0;
  to[0] = static_cast<std::byte>((value & 0x7f) | longer << 7);
  to[1] = static_cast<std::byte>(value >> 7);
  return 1 + longer;
}

/// `run`: changed bytes, after `skipped` unchanged ones. The size of the delta with them, nothing if it would
/// be too large.
std::optional<std::size_t> put_run(std::span<std::byte, page_size> delta, std::size_t size,
                                   std::size_t skipped, std::span<const std::byte> run) {
  if (size + 2 > page_size) return std::nullopt;
  size += put_length(delta.data() + size, skipped);
  if (size + 2 > page_size) return std::nullopt;
  size += put_length(delta.data() + size, run.size());
  if (size + run.size() > page_size) return std::nullopt;
  std::memcpy(delta.data() + size, run.data(), run.size());
  return size + run.size();
}

/// Most runs are a few bytes long: copying a whole vector is cheaper than asking how many.
constexpr std::size_t short_run = 32;

/// The same where `run` has at most short_run bytes, but so many can be read, and `delta` has room for them
/// and their lengths.
std::size_t put_short_run(std::byte* delta, std::size_t size, std::size_t skipped, const std::byte* run,
                          std::size_t count) {
  size += put_length(delta + size, skipped);
  size += put_length(delta + size, count);
  std::memcpy(delta + size, run, short_run);
  return size + count;
}

/// A length of a delta and how many bytes it took; 0 bytes: it is not one.
struct Length {
  std::size_t value = 0;
  std::size_t bytes = 0;
};

/// `rest` has two bytes at least.
Length get_length(std::span<const std::byte> rest) {
  const auto low = std::to_integer<std::size_t>(rest[0]);
  if (low < 0x80) return {low, 1};
  const auto high = std::to_integer<std::size_t>(rest[1]);
  if (high >= 0x80) return {};
  return {(low & 0x7f) | (high << 7), 2};
}

}  // namespace

XbzrleDelta encode_xbzrle(const std::byte* before, const std::byte* after,
                          std::span<std::byte, page_size> delta) {
  using enum XbzrleDelta::Kind;
  std::array<std::uint16_t, page_size> edges;
  const std::size_t count = HWY_DYNAMIC_DISPATCH(find_edges)(before, after, edges.data());
  if (count == 0) return {unchanged, 0};
  std::size_t size = 0;
  std::size_t at = 0;
  for (std::size_t edge = 0; edge < count; edge += 2) {
    const std::size_t changed = edges[edge];
    const std::size_t end = edges[edge + 1];
    if (end - changed <= short_run && std::max(changed, size + 4) <= page_size - short_run) {
      size = put_short_run(delta.data(), size, changed - at, after + changed, end - changed);
    } else {
      const auto more = put_run(delta, size, changed - at, {after + changed, after + end});
      if (!more) return {overflow, 0};
      size = *more;
    }
    at = end;
  }
  // The last unchanged run is left out, but there has to be room for its length.
  if (at < page_size && size + 2 > page_size) return {overflow, 0};
  return {encoded, size};
}

XbzrleDelta encode_xbzrle_scalar(const std::byte* before, const std::byte* after,
                                 std::span<std::byte, page_size> delta) {
  using enum XbzrleDelta::Kind;
  std::size_t size = 0;
  std::size_t at = 0;
  while (at < page_size) {
    if (size + 2 > page_size) return {overflow, 0};
    std::size_t changed = at;
    while (changed < page_size && before[changed] == after[changed]) ++changed;
    if (changed - at == page_size) return {unchanged, 0};
    if (changed == page_size) break;
    size += put_length(delta.data() + size, changed - at);
    if (size + 2 > page_size) return {overflow, 0};
    std::size_t end = changed;
    while (end < page_size && before[end] != after[end]) ++end;
    size += put_length(delta.data() + size, end - changed);
    if (size + (end - changed) > page_size) return {overflow, 0};
    for (std::size_t from = changed; from < end; ++from) delta[size++] = after[from];
    at = end;
  }
  return {encoded, size};
}

Result<> apply_xbzrle(std::span<const std::byte> delta, std::span<std::byte, page_size> page,
                      std::uint64_t stream_offset) {
  std::size_t at = 0;  // in the delta
  std::size_t to = 0;  // in the page
  while (at < delta.size()) {
    const bool first = at == 0;
    if (delta.size() - at < 2)
      return fail("xbzrle page: expected a length and more at offset {:#x}, the delta ends after {}",
                  stream_offset + at, delta.size() - at);
    const Length skip = get_length(delta.subspan(at));
    if (skip.bytes == 0 || (skip.value == 0 && !first))
      return fail("xbzrle page: expected the length of an unchanged run at offset {:#x}", stream_offset + at);
    if (skip.value > page_size - to)
      return fail("xbzrle page: expected an unchanged run of at most {} bytes at offset {:#x}, got {}",
                  page_size - to, stream_offset + at, skip.value);
    at += skip.bytes;
    to += skip.value;

    if (delta.size() - at < 2)
      return fail("xbzrle page: expected changed bytes at offset {:#x}, the delta ends after {}",
                  stream_offset + at, delta.size() - at);
    const Length run = get_length(delta.subspan(at));
    if (run.bytes == 0 || run.value == 0)
      return fail("xbzrle page: expected the length of a changed run at offset {:#x}", stream_offset + at);
    if (run.value > page_size - to || run.value > delta.size() - at - run.bytes)
      return fail("xbzrle page: a changed run of {} bytes at offset {:#x} overruns the {}", run.value,
                  stream_offset + at, run.value > page_size - to ? "page" : "delta");
    at += run.bytes;
    std::memcpy(page.data() + to, delta.data() + at, run.value);
    at += run.value;
    to += run.value;
  }
  return {};
}

}  // namespace godwit::wire
#endif

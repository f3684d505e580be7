// Moving dirty bits between bitmaps whose first pages are not at the same place in a word.
#pragma once

#include <cstdint>
#include <span>

#include <godwit/dirty_bitmap.h>

namespace godwit::memory {

/// The lowest `count` bits (1 to 64).
constexpr std::uint64_t low_bits(std::uint64_t count) {
  return ~std::uint64_t{0} >> (64 - count);
}

/// Bits position .. position + count - 1 (count 1 to 64) of `words`, which has them all, moved to bit 0.
std::uint64_t read_bits(std::span<const std::uint64_t> words, std::uint64_t position, std::uint64_t count);

/// Ors the lowest `count` (1 to 64) bits of `dirty` into the pages from `page` on, which are all inside
/// `bitmap`. Returns how many of them were clean.
std::uint64_t merge_bits(DirtyBitmap& bitmap, std::uint64_t page, std::uint64_t dirty, std::uint64_t count);

/// Makes the pages of `run`, which are all inside `bitmap`, dirty. Returns how many of them were clean.
std::uint64_t merge_run(DirtyBitmap& bitmap, PageRange run);

/// Ors `count` bits of `source` from bit `from` on into the pages from `page` on. Returns how many were
/// clean.
std::uint64_t merge_range(DirtyBitmap& bitmap, std::uint64_t page, std::span<const std::uint64_t> source,
                          std::uint64_t from, std::uint64_t count);

}  // namespace godwit::memory

// A set of pages that takes memory only where pages are in it.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

namespace godwit::cli::inspect {

class PageSet {
 public:
  /// Adds page `page` of block `block`. True if it was not there. When the set is full, pages elsewhere are
  /// not added, and count as there.
  bool add(std::uint32_t block, std::uint64_t page) {
    Chunk* chunk = find(block, page / pages_in_chunk);
    if (chunk == nullptr) return false;
    std::uint64_t& word = (*chunk)[page % pages_in_chunk / 64];
    const std::uint64_t bit = std::uint64_t{1} << (page % 64);
    const bool is_new = (word & bit) == 0;
    word |= bit;
    return is_new;
  }

  /// Something was left out.
  bool overflowed() const { return overflowed_; }

 private:
  static constexpr std::uint64_t pages_in_chunk = 4096;
  static constexpr std::size_t chunk_limit = 131'072;  // 64 MiB, for 2 TiB of RAM

  using Chunk = std::array<std::uint64_t, pages_in_chunk / 64>;
  using Key = std::uint64_t;

  Chunk* find(std::uint32_t block, std::uint64_t number);

  std::unordered_map<Key, Chunk> chunks_;
  Key last_key_ = 0;
  Chunk* last_ = nullptr;
  bool overflowed_ = false;
};

}  // namespace godwit::cli::inspect

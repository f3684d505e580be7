// Some pages of RAM, remembered by a hash of what is in them.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <godwit/ram_block.h>

namespace godwit::engine {

class PageSamples {
 public:
  /// Takes `per_gib` pages of each GiB, chosen by `random`; of a smaller block its share, at least one. The
  /// guest may write meanwhile.
  PageSamples(std::span<const RamBlock> blocks, std::uint64_t per_gib, std::mt19937_64& random);

  /// How many bytes of the RAM have changed since, if the pages taken are as all are.
  std::uint64_t changed_bytes() const;

 private:
  struct Block {
    std::uint64_t size;                                           // bytes
    std::vector<std::pair<const std::byte*, std::size_t>> pages;  // where, hash
  };
  std::vector<Block> blocks_;
};

}  // namespace godwit::engine

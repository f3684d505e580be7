// The RAM of a stream as sparse files, one for each block.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

#include "base/system.h"
#include "cli/inspect/page_set.h"
#include "wire/ram.h"

namespace godwit::cli::inspect {

class RamImage {
 public:
  /// The directory is made if it is not there.
  static Result<RamImage> create(std::string directory);

  /// Makes a file of the block's length. Blocks that are there already are left alone.
  Result<> add_blocks(std::span<const wire::BlockEntry> blocks);

  /// Puts a whole page into its place; pages of zeros become holes where nothing was.
  Result<> write(std::uint32_t block, std::uint64_t offset, std::span<const std::byte> page);
  Result<> fill(std::uint32_t block, std::uint64_t offset, std::byte value);
  /// The page as it is by now.
  Result<> read(std::uint32_t block, std::uint64_t offset, std::span<std::byte> page);
  /// Writes what is still in memory.
  Result<> flush();

  /// The file of a block of that name: everything that could be part of a path is written as %XX.
  static std::string file_name(std::string_view block);

 private:
  struct Part {
    std::string name;
    std::string path;
    UniqueFd file;
  };

  explicit RamImage(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  std::vector<Part> parts_;
  PageSet written_;
  // Pages that follow each other go out together.
  std::uint32_t run_block_ = 0;
  std::uint64_t run_offset_ = 0;
  std::vector<std::byte> run_;
};

}  // namespace godwit::cli::inspect

// Whole streams for tests and fuzzing: reading the golden ones, walking them, and encoding them again.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/description.h"
#include "wire/test_devices.h"
#include "wire/walker.h"

namespace godwit::wire::test {

/// A file below tests/data/golden, unpacked if it ends with ".gz"; a failure of the test if it is not there.
std::vector<std::byte> golden(std::string_view name);

/// The names of all of them, in order.
std::vector<std::string> golden_names();

/// What is known beforehand about the sample of that name.
WalkOptions options_of(std::string_view name);

std::span<const std::byte> bytes_of(std::string_view text);
std::string_view text_of(std::span<const std::byte> bytes);

/// The JSON at the end of a whole stream; empty if there is none.
std::string_view description_of(std::span<const std::byte> stream);

/// Delivers its bytes in pieces of at most `piece`, as a connection does. Does not own them.
class PiecewiseInput final : public Input {
 public:
  PiecewiseInput(std::span<const std::byte> bytes, std::size_t piece) : rest_(bytes), piece_(piece) {}

 protected:
  Result<> fill(std::size_t count) override;
  Result<std::size_t> read_past_window(std::span<std::byte> into) override;
  Result<bool> nothing_follows() override { return rest_.empty(); }

 private:
  std::span<const std::byte> take(std::size_t count);

  std::span<const std::byte> rest_;
  std::size_t piece_;
  std::vector<std::byte> window_;
};

/// Encodes what a StreamWalker shows. Devices that make_device() knows go through their table; of others the
/// bytes are copied if their length is known or find_footers is set, else the walk fails.
class Recoder : public StreamVisitor {
 public:
  Recoder() = default;
  /// Knows the lengths of all sections in the description.
  explicit Recoder(const StreamDescription& description);

  Output out;
  DescriptionWriter description;  ///< of the devices that went through a table
  std::size_t opaque_sections = 0;

  Result<> on_file_header() override;
  Result<> on_configuration(const Configuration& configuration) override;
  Result<> on_section(RecordType type, const SectionHeader& header) override;
  Result<> on_section_data(RecordType type, const SectionHeader& header, Input& in) override;
  Result<> on_block_list(std::span<const BlockEntry> blocks) override;
  Result<> on_mapped_block(const BlockEntry& block, const MappedRam& header,
                           std::span<const std::uint64_t> bitmap) override;
  Result<> on_mapped_page(const BlockEntry& block, std::uint64_t offset, Input& in) override;
  Result<> on_disk_record(const DiskRecord& record, Input& in) override;
  Result<> on_bitmap_chunk(const BitmapChunk& chunk, const BitmapReader& names, Input& in) override;
  Result<> on_colo_message(const ColoMessage& message) override;
  Result<> on_ram_record(const PageRecord& record, const BlockEntry* block, Input& in) override;
  Result<> on_footer(const SectionHeader& header) override;
  Result<> on_command(const Command& command) override;
  Result<> on_eof() override;
  Result<> on_description(std::string_view json) override;

  bool footers = true;
  bool recovery = false;      ///< the list of blocks is not in the stream
  bool find_footers = false;  ///< for sections whose length nobody knows

 private:
  Result<> copy(std::uint64_t length, Input& in);
  void fill_to(std::uint64_t offset);

  std::map<std::pair<std::string, std::uint32_t>, std::uint64_t> lengths_;
  std::size_t list_head_ = 0;  ///< where the total of a mapped block list goes; 0: there is none
  std::uint64_t mapped_pages_ = 0;
  std::uint64_t mapped_end_ = 0;
};

}  // namespace godwit::wire::test

// Walks along a stream and keeps what is worth showing.
#pragma once

#include <array>
#include <optional>

#include "cli/inspect/answers.h"
#include "cli/inspect/model.h"
#include "cli/inspect/page_set.h"
#include "cli/inspect/ram_image.h"
#include "wire/compress.h"
#include "wire/walker.h"

namespace godwit::cli::inspect {

/// All may be null. `described` is the description if it is known beforehand.
struct CollectorOptions {
  RamImage* image = nullptr;
  Answers* answers = nullptr;
  const wire::StreamDescription* described = nullptr;
  bool check_pages = false;  ///< also look into pages that are compressed
};

class Collector final : public wire::StreamVisitor {
 public:
  /// Puts what it sees into `found`; all outlive the collector.
  Collector(Input& in, Inspection& found, const CollectorOptions& options);

  Result<> on_file_header() override;
  Result<> on_configuration(const wire::Configuration& configuration) override;
  Result<> on_record(wire::RecordType type, std::uint64_t offset) override;
  Result<> on_section(wire::RecordType type, const wire::SectionHeader& header) override;
  Result<> on_section_data(wire::RecordType type, const wire::SectionHeader& header, Input& in) override;
  Result<> on_block_list(std::span<const wire::BlockEntry> blocks) override;
  Result<> on_mapped_block(const wire::BlockEntry& block, const wire::MappedRam& header,
                           std::span<const std::uint64_t> bitmap) override;
  Result<> on_mapped_page(const wire::BlockEntry& block, std::uint64_t offset, Input& in) override;
  Result<> on_ram_record(const wire::PageRecord& record, const wire::BlockEntry* block, Input& in) override;
  Result<> on_disk_record(const wire::DiskRecord& record, Input& in) override;
  Result<> on_bitmap_chunk(const wire::BitmapChunk& chunk, const wire::BitmapReader& names,
                           Input& in) override;
  Result<> on_footers(bool present) override;
  Result<> on_footer(const wire::SectionHeader& header) override;
  Result<> on_command(const wire::Command& command) override;
  Result<> on_package_end() override;
  Result<> on_eof() override;
  Result<> on_description(std::string_view json) override;
  Result<> on_colo_message(const wire::ColoMessage& message) override;

  /// For channels that carry nothing but pages: the number of a block, which is new if it was not named yet.
  Result<wire::KnownBlock> block_named(std::string_view name);
  /// A page record of such a channel.
  Result<> page(const wire::PageRecord& record, Input& in);

 private:
  void add_entry(std::string kind, std::uint64_t offset, std::string detail = "");
  Entry* mergeable(wire::RecordType type, const wire::SectionHeader& header);
  void count_page(const wire::PageRecord& record);
  Result<> keep_page(const wire::PageRecord& record, Input& in);
  Result<> check_page(const wire::PageRecord& record, Input& in);
  Result<> apply(const wire::PageRecord& record, std::span<const std::byte> payload);
  Result<std::vector<std::byte>> device_data(const wire::SectionHeader& header, Input& in);
  void keep_device(const wire::SectionHeader& header, std::uint64_t offset, std::vector<std::byte> body);

  Input& in_;
  Inspection& found_;
  const CollectorOptions options_;
  PageSet seen_;
  std::uint64_t record_offset_ = 0;  ///< of the record that is being read
  std::uint64_t counted_to_ = 0;     ///< stream offset up to which bytes were given to a block
  std::uint64_t kept_device_bytes_ = 0;
  wire::RecordType record_type_ = wire::RecordType::eof;
  bool packaged_ = false;
  bool postcopy_ = false;
  bool any_compressed_ = false;
  std::uint32_t last_block_ = 0;
  std::uint64_t last_offset_ = 0;
  std::vector<wire::BlockEntry> mapped_blocks_;
  std::array<std::byte, page_size> page_;
  wire::PageDecompressor decompressor_;
};

}  // namespace godwit::cli::inspect

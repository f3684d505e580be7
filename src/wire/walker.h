// Walks a whole stream and shows its parts to a visitor: for tests, fuzzing and tools that look into streams.
// It knows the framing and the sections "ram", "block" and "dirty-bitmap"; the data of others is the
// visitor's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <godwit/stream.h>

#include "wire/bitmap_section.h"
#include "wire/block_section.h"
#include "wire/colo.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/mapped_ram.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::wire {

/// The length of a block of which only the name is known: on a recovery connection.
inline constexpr std::uint64_t unknown_block_length = ~std::uint64_t{page_size - 1};

/// What a stream does not say about itself.
struct WalkOptions {
  bool file_header = true;                   ///< off for a recovery connection, as is `configuration`
  std::optional<bool> configuration = true;  ///< off for migration.send-configuration=off; unset: as it comes
  std::optional<bool> footers = true;        ///< off for migration.send-section-footer=off; unset: as the
                                             ///< first section has it
  /// Guest addresses are also expected when the configuration has x-ignore-shared; page sizes, unless the
  /// function is set, where ADVISE has said that there are others than the host's.
  BlockListFormat block_list;
  std::uint64_t file_offset = 0;  ///< where in its file the stream begins; for mapped-ram
};

/// Each method sees one part in the order of the stream. An error ends the walk.
class StreamVisitor {
 public:
  virtual ~StreamVisitor() = default;

  virtual Result<> on_file_header() { return {}; }
  virtual Result<> on_configuration(const Configuration&) { return {}; }
  /// The type byte of a record, at `offset`.
  virtual Result<> on_record(RecordType, std::uint64_t offset) {
    (void)offset;
    return {};
  }
  /// The beginning of a START, PART, END or FULL record. For PART and END the header is that of the START.
  virtual Result<> on_section(RecordType, const SectionHeader&) { return {}; }
  /// The data of a section that the walker does not know: the visitor consumes exactly what belongs to it.
  virtual Result<> on_section_data(RecordType type, const SectionHeader& header, Input& in) = 0;
  /// All blocks, whenever there is one more. On a recovery connection they have unknown_block_length.
  virtual Result<> on_block_list(std::span<const BlockEntry>) { return {}; }
  /// mapped-ram: a line of the block list that is followed by its pages. The list comes once it is whole.
  virtual Result<> on_mapped_block(const BlockEntry&, const MappedRam&,
                                   std::span<const std::uint64_t> bitmap) {
    (void)bitmap;
    return {};
  }
  /// A page of the mapped block. The visitor consumes page_size bytes.
  virtual Result<> on_mapped_page(const BlockEntry& block, std::uint64_t offset, Input& in) {
    (void)block, (void)offset;
    return in.discard(page_size);
  }
  /// A record of section "ram", the end mark included. `block` is its block in the list, null for marks. The
  /// visitor consumes record.payload bytes.
  virtual Result<> on_ram_record(const PageRecord& record, const BlockEntry* block, Input& in) {
    (void)block;
    return in.discard(record.payload);
  }
  /// A record of section "block", the end mark included. The visitor consumes record.payload bytes.
  virtual Result<> on_disk_record(const DiskRecord& record, Input& in) { return in.discard(record.payload); }
  /// A chunk of section "dirty-bitmap", the end mark included, with the names it is about. The visitor
  /// consumes chunk.payload bytes.
  virtual Result<> on_bitmap_chunk(const BitmapChunk& chunk, const BitmapReader& names, Input& in) {
    (void)names;
    return in.discard(chunk.payload);
  }
  /// The first section has shown whether there are footers.
  virtual Result<> on_footers(bool present) {
    (void)present;
    return {};
  }
  virtual Result<> on_footer(const SectionHeader&) { return {}; }
  virtual Result<> on_command(const Command&) { return {}; }
  /// The records of a PACKAGED command, or of COLO's VMSTATE_SIZE, have ended.
  virtual Result<> on_package_end() { return {}; }
  virtual Result<> on_eof() { return {}; }
  virtual Result<> on_description(std::string_view json) {
    (void)json;
    return {};
  }
  /// After the first migration of COLO. Records follow VMSTATE_SEND and VMSTATE_SIZE.
  virtual Result<> on_colo_message(const ColoMessage&) { return {}; }
};

class StreamWalker {
 public:
  /// More sections than a machine has devices.
  static constexpr std::size_t section_count_limit = 16384;

  StreamWalker(Input& in, StreamVisitor& visitor, WalkOptions options = {});

  /// Once: from the first byte to the end of the stream.
  Result<> run();

 private:
  Result<> start();
  Result<> records();
  Result<> record();
  Result<> new_section(RecordType type);
  Result<> known_section(RecordType type);
  bool resumes_ram() const;
  Result<> section(RecordType type, const SectionHeader& header);
  Result<> data(RecordType type, const SectionHeader& header);
  Result<> footer(const SectionHeader& header);
  Result<> ram(RecordType type);
  Result<> block_list();
  Result<> mapped_block(const BlockEntry& block);
  Result<> mapped_pages(const BlockEntry& block, std::span<const std::uint64_t> bitmap);
  Result<> disks();
  Result<> bitmaps();
  Result<> command();
  Result<> note(const Command& command);
  Result<> package_boundary();
  Result<> tail();
  Result<> description();
  Result<> colo();
  Result<> colo_message();
  Result<KnownBlock> find_block(std::string_view name) const;
  Result<bool> page_size_follows();

  Input& in_;
  StreamVisitor& visitor_;
  WalkOptions options_;
  std::map<std::uint32_t, SectionHeader> sections_;
  std::vector<BlockEntry> blocks_;
  PageReader pages_;
  BitmapReader bitmap_reader_;
  std::optional<std::uint64_t> package_end_;  ///< stream offset
  bool mapped_ram_ = false;
  bool colo_ = false;                  ///< ENABLE_COLO has come
  bool checkpoints_ = false;           ///< the first migration is through
  std::uint64_t host_page_sizes_ = 0;  ///< from ADVISE, or-ed
  bool ended_ = false;
};

}  // namespace godwit::wire

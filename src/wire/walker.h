// Walks a whole stream and shows its parts to a visitor: for tests, fuzzing and tools that look into streams.
// It knows the framing and the section "ram"; the data of other sections is the visitor's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <godwit/stream.h>

#include "wire/command.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::wire {

/// What a stream does not say about itself.
struct WalkOptions {
  bool file_header = true;    ///< off for a recovery connection
  bool configuration = true;  ///< off for migration.send-configuration=off
  bool footers = true;        ///< off for migration.send-section-footer=off
  BlockListFormat
      block_list;  ///< guest addresses are also expected when the configuration has x-ignore-shared
};

/// Each method sees one part in the order of the stream. An error ends the walk.
class StreamVisitor {
 public:
  virtual ~StreamVisitor() = default;

  virtual Result<> on_file_header() { return {}; }
  virtual Result<> on_configuration(const Configuration&) { return {}; }
  /// The beginning of a START, PART, END or FULL record. For PART and END the header is that of the START.
  virtual Result<> on_section(RecordType, const SectionHeader&) { return {}; }
  /// The data of a section other than "ram": the visitor consumes exactly what belongs to it.
  virtual Result<> on_section_data(RecordType type, const SectionHeader& header, Input& in) = 0;
  virtual Result<> on_block_list(std::span<const BlockEntry>) { return {}; }
  /// A record of section "ram", the end mark included. `block` is its block in the list, null for marks. The
  /// visitor consumes record.payload bytes.
  virtual Result<> on_ram_record(const PageRecord& record, const BlockEntry* block, Input& in) {
    (void)block;
    return in.discard(record.payload);
  }
  virtual Result<> on_footer(const SectionHeader&) { return {}; }
  virtual Result<> on_command(const Command&) { return {}; }
  /// The records of a PACKAGED command have ended.
  virtual Result<> on_package_end() { return {}; }
  virtual Result<> on_eof() { return {}; }
  virtual Result<> on_description(std::string_view json) {
    (void)json;
    return {};
  }
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
  Result<> record();
  Result<> new_section(RecordType type);
  Result<> known_section(RecordType type);
  Result<> section(RecordType type, const SectionHeader& header);
  Result<> ram(RecordType type, const SectionHeader& header);
  Result<> block_list();
  Result<> command();
  Result<> package_boundary();
  Result<> tail();
  Result<KnownBlock> find_block(std::string_view name) const;

  Input& in_;
  StreamVisitor& visitor_;
  WalkOptions options_;
  std::map<std::uint32_t, SectionHeader> sections_;
  std::vector<BlockEntry> blocks_;
  PageReader pages_;
  std::optional<std::uint64_t> package_end_;  ///< stream offset
  bool ended_ = false;
};

}  // namespace godwit::wire

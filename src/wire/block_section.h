// Section "block": disks that travel in the stream, in chunks of 1 MiB (wire-format section 8).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <godwit/stream.h>

namespace godwit::wire {

inline constexpr std::string_view block_section_name = "block";
inline constexpr std::uint32_t block_section_version = 1;

inline constexpr std::uint64_t sector_size = 512;              ///< bytes
inline constexpr std::uint32_t disk_chunk_size = 1024 * 1024;  ///< bytes
inline constexpr std::uint64_t disk_chunk_sectors = disk_chunk_size / sector_size;

/// One record, up to but without its payload.
struct DiskRecord {
  enum class Kind : std::uint8_t {
    chunk,     ///< disk_chunk_size bytes of a disk, also where the disk ends inside
    progress,  ///< how much the source has read
    end,       ///< nothing but the end of the section's data
  };
  Kind kind = Kind::end;
  bool end = false;           ///< ends the section's data
  bool zero = false;          ///< the chunk is all zero and has no payload
  std::string device;         ///< of a chunk: name of the block backend
  std::uint64_t sector = 0;   ///< of a chunk: its first, a multiple of disk_chunk_sectors
  std::uint32_t percent = 0;  ///< of progress: 0 to 100
  std::uint32_t payload = 0;  ///< how many bytes follow that belong to the record
  bool operator==(const DiskRecord&) const = default;
};

/// Without the payload.
void encode_disk_record(Output& out, const DiskRecord& record);
Result<DiskRecord> decode_disk_record(Input& in);

}  // namespace godwit::wire

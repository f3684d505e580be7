#include "wire/block_section.h"

#include <cassert>

#include "base/fail.h"

namespace godwit::wire {
namespace {

constexpr std::uint64_t flag_chunk = 0x01;
constexpr std::uint64_t flag_end = 0x02;
constexpr std::uint64_t flag_progress = 0x04;
constexpr std::uint64_t flag_zero = 0x08;
constexpr std::uint64_t flag_mask = sector_size - 1;
constexpr std::uint64_t known_flags = flag_chunk | flag_end | flag_progress | flag_zero;
constexpr unsigned flag_bits = 9;

Result<DiskRecord> decode_chunk(Input& in, std::uint64_t value, std::uint64_t offset) {
  DiskRecord record;
  record.kind = DiskRecord::Kind::chunk;
  record.zero = (value & flag_zero) != 0;
  record.sector = value >> flag_bits;
  record.payload = record.zero ? 0 : disk_chunk_size;
  if (record.sector % disk_chunk_sectors != 0)
    return fail("disk chunk: expected a sector that is a multiple of {} at offset {:#x}, got {}",
                disk_chunk_sectors, offset, record.sector);
  GODWIT_ASSIGN(record.device, in.counted_text());
  if (record.device.empty())
    return fail("disk chunk: expected the name of a disk at offset {:#x}, got an empty one", offset + 8);
  return record;
}

}  // namespace

void encode_disk_record(Output& out, const DiskRecord& record) {
  const std::uint64_t end = record.end ? flag_end : 0;
  switch (record.kind) {
    case DiskRecord::Kind::chunk:
      assert(!record.device.empty() && record.sector % disk_chunk_sectors == 0);
      out.be64(record.sector << flag_bits | flag_chunk | (record.zero ? flag_zero : 0) | end);
      out.counted_text(record.device);
      return;
    case DiskRecord::Kind::progress:
      out.be64(std::uint64_t{record.percent} << flag_bits | flag_progress | end);
      return;
    case DiskRecord::Kind::end:
      out.be64(flag_end);
      return;
  }
}

Result<DiskRecord> decode_disk_record(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint64_t value, in.be64());
  const std::uint64_t flags = value & flag_mask;
  if ((flags & ~known_flags) != 0 || (flags & (flag_chunk | flag_end | flag_progress)) == 0)
    return fail(
        "expected a disk chunk, the progress or the end of the section at offset {:#x}, got flags {:#x}",
        offset, flags);
  DiskRecord record;
  if ((flags & flag_chunk) != 0) {
    if ((flags & flag_progress) != 0)
      return fail("expected a disk chunk or the progress at offset {:#x}, got both (flags {:#x})", offset,
                  flags);
    GODWIT_ASSIGN(record, decode_chunk(in, value, offset));
  } else if ((flags & flag_zero) != 0) {
    return fail("expected a chunk with the mark of an empty chunk at offset {:#x}, got flags {:#x}", offset,
                flags);
  } else if ((flags & flag_progress) != 0) {
    if (value >> flag_bits > 100)
      return fail("progress of the disks: expected at most 100 percent at offset {:#x}, got {}", offset,
                  value >> flag_bits);
    record.kind = DiskRecord::Kind::progress;
    record.percent = static_cast<std::uint32_t>(value >> flag_bits);
  } else if (value != flag_end) {
    return fail("expected a mark without a sector at offset {:#x}, got {:#x}", offset, value);
  }
  record.end = (flags & flag_end) != 0;
  return record;
}

}  // namespace godwit::wire

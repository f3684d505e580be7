// Section "ram": the block list and the records of pages (wire-format section 3). What the records carry
// besides plain and zero pages (deltas, compressed pages) is decoded elsewhere; here they have a length.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/stream.h>

namespace godwit::wire {

inline constexpr std::string_view ram_section_name = "ram";
inline constexpr std::uint32_t ram_section_version = 4;

/// One line of the block list.
struct BlockEntry {
  std::string name;
  std::uint64_t length = 0;                     ///< bytes in use, a multiple of page_size
  std::optional<std::uint64_t> host_page_size;  ///< bytes; condition A of section 3.2
  std::optional<std::uint64_t> guest_address;   ///< condition B of section 3.2
  bool operator==(const BlockEntry&) const = default;
};

/// Which optional members the lines have: the receiver has to know, the list does not say.
struct BlockListFormat {
  /// True for a block whose line carries its page size: postcopy is on, ADVISE has come and the receiver's
  /// own block of that name has pages of another size than the host's. Unset: none.
  std::function<bool(std::string_view name)> has_host_page_size;
  bool has_guest_addresses = false;  ///< x-ignore-shared is on
};

/// The most blocks a list may have. A real machine has a few dozen.
inline constexpr std::size_t block_count_limit = 4096;

/// The list with its leading record, without the end mark that closes the section's data.
void encode_block_list(Output& out, std::span<const BlockEntry> blocks);
Result<std::vector<BlockEntry>> decode_block_list(Input& in, const BlockListFormat& format);

/// The parts of the list, for formats that put more behind each line (mapped-ram).
void encode_block_list_head(Output& out, std::uint64_t total_length);
void encode_block_entry(Output& out, const BlockEntry& block);

/// Decodes the list line by line.
class BlockListReader {
 public:
  /// `format` outlives the reader.
  explicit BlockListReader(const BlockListFormat& format) : format_(format) {}

  /// The leading record.
  Result<> start(Input& in);
  bool done() const { return left_ == 0; }
  /// The next line, unless done.
  Result<BlockEntry> next(Input& in);

 private:
  const BlockListFormat& format_;
  std::uint64_t left_ = 0;  ///< bytes that the lines to come have together
  std::unordered_set<std::string> names_;
};

enum class PageKind : std::uint8_t {
  zero,            ///< the page is `fill` all over
  normal,          ///< page_size bytes follow
  end_of_section,  ///< ends the section's data
  xbzrle,          ///< `payload` bytes of delta follow
  compressed,      ///< `payload` bytes of one zlib stream follow
  hook,            ///< RDMA only
  multifd_flush,   ///< newer than 7.2
};

/// True of the kinds that carry a page of a block.
constexpr bool is_page(PageKind kind) {
  return kind == PageKind::zero || kind == PageKind::normal || kind == PageKind::xbzrle ||
         kind == PageKind::compressed;
}

/// One decoded record, up to but without its payload.
struct PageRecord {
  PageKind kind = PageKind::end_of_section;
  bool continued = false;     ///< the record named no block: it is the one of the record before
  std::uint8_t fill = 0;      ///< of a zero page
  std::uint32_t block = 0;    ///< KnownBlock::index; of page kinds
  std::uint32_t payload = 0;  ///< how many bytes follow that belong to the record
  std::uint64_t offset = 0;  ///< bytes from the start of the block, page aligned and inside it; of page kinds
};

inline constexpr std::uint32_t compressed_page_limit = 4110;  ///< zlib's bound for a page of 4096 bytes

/// A block the receiver has.
struct KnownBlock {
  std::uint32_t index = 0;   ///< the receiver's own number for it
  std::uint64_t length = 0;  ///< bytes; records must stay below
};

/// Decodes the page records of one channel. Remembers the last block, which CONTINUE refers to, also across
/// sections: keep one reader per channel for the life of the stream.
class PageReader {
 public:
  /// Called when a record names a block, not per page. An error says why the block takes no pages (unknown,
  /// ignored).
  using FindBlock = std::function<Result<KnownBlock>(std::string_view name)>;

  explicit PageReader(FindBlock find_block) : find_block_(std::move(find_block)) {}

  /// The next record. Allocates nothing and calls nobody for a record that continues in the same block.
  Result<PageRecord> next(Input& in) {
    auto head = in.need(8);
    if (!head) [[unlikely]]
      return std::unexpected(std::move(head).error());
    const std::uint64_t value = load_be64(head->data());
    const std::uint64_t offset = value & ~flag_mask;
    if ((value & flag_mask) == (flag_page | flag_continue) && offset < length_) [[likely]] {
      in.skip(8);
      return PageRecord{PageKind::normal, true, 0, block_, static_cast<std::uint32_t>(page_size), offset};
    }
    return other(in, value);
  }

  /// Forgets the last block: the next page record must name one.
  void forget() { length_ = 0, known_ = false; }

 private:
  static constexpr std::uint64_t flag_mask = page_size - 1;
  static constexpr std::uint64_t flag_page = 0x08;
  static constexpr std::uint64_t flag_continue = 0x20;

  static std::uint64_t load_be64(const std::byte* from) {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return std::endian::native == std::endian::little ? std::byteswap(value) : value;
  }
  Result<PageRecord> other(Input& in, std::uint64_t value);
  Result<> find_block(Input& in);
  Result<PageRecord> finish(Input& in, PageRecord record);

  FindBlock find_block_;
  bool known_ = false;
  std::uint32_t block_ = 0;
  std::uint64_t length_ = 0;
};

/// The longest that encode_page_header() and encode_zero_page() write.
inline constexpr std::size_t page_header_limit = 8 + 1 + 255 + 1;

/// Writes the record of one page up to its body into `out`, which has page_header_limit bytes of room, and
/// returns how many bytes it wrote. `offset` is page aligned; `name` (1 to 255 bytes) is written unless
/// `continued`. The caller appends the body: page_size bytes for `normal`, the fill byte for `zero`, and so
/// on. For kinds that are no pages `offset`, `continued` and `name` are ignored.
std::size_t encode_page_header(std::byte* out, PageKind kind, std::uint64_t offset, bool continued,
                               std::string_view name);

/// The same for a zero page, complete with its fill byte 0.
inline std::size_t encode_zero_page(std::byte* out, std::uint64_t offset, bool continued,
                                    std::string_view name) {
  const std::size_t length = encode_page_header(out, PageKind::zero, offset, continued, name);
  out[length] = std::byte{0};
  return length + 1;
}

/// What stands between the header of an `xbzrle` or `compressed` page and its `length` payload bytes. Returns
/// how many bytes it wrote, at most 4.
std::size_t encode_payload_length(std::byte* out, PageKind kind, std::size_t length);

/// The mark that ends the data of every "ram" section.
void encode_end_of_section(Output& out);
Result<> decode_end_of_section(Input& in);

}  // namespace godwit::wire

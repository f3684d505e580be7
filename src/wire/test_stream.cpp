#include "wire/test_stream.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <zlib.h>

#include "base/fail.h"
#include "wire/section_end.h"

namespace godwit::wire::test {

namespace {

std::filesystem::path golden_directory() {
  return std::filesystem::path(GODWIT_TEST_DATA) / "golden";
}

}  // namespace

std::vector<std::byte> golden(std::string_view name) {
  const auto path = golden_directory() / name;
  // zlib reads plain files as they are.
  const gzFile file = gzopen(path.c_str(), "rb");
  std::vector<std::byte> bytes;
  std::array<std::byte, 65536> piece;
  int got = 0;
  while (file != nullptr && (got = gzread(file, piece.data(), piece.size())) > 0)
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
  if (file == nullptr || got < 0 || gzclose(file) != Z_OK || bytes.empty()) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::abort();
  }
  return bytes;
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden_directory())) {
    const auto extension = entry.path().extension();
    if (extension == ".bin" || extension == ".gz" || extension == ".mig")
      names.push_back(std::filesystem::relative(entry.path(), golden_directory()));
  }
  std::ranges::sort(names);
  return names;
}

WalkOptions options_of(std::string_view name) {
  WalkOptions options;
  if (name.starts_with("02-")) options.configuration = options.footers = false;
  if (name.contains("conn1-to-dst")) options.file_header = false, options.configuration = false;
  return options;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view description_of(std::span<const std::byte> stream) {
  const std::string_view text = text_of(stream);
  const std::size_t last_zero = text.rfind('\0');
  const std::size_t brace = text.find('{', last_zero == std::string_view::npos ? 0 : last_zero);
  return brace == std::string_view::npos ? "" : text.substr(brace);
}

Result<> PiecewiseInput::fill(std::size_t count) {
  std::vector<std::byte> window(at_, end_);
  const auto show = [&] {
    window_ = std::move(window);
    at_ = window_.data();
    end_ = window_.data() + window_.size();
  };
  while (window.size() < count) {
    if (rest_.empty()) {
      show();
      return ends_early(count);
    }
    const auto part = take(piece_);
    window.insert(window.end(), part.begin(), part.end());
    window_end_offset_ += part.size();
  }
  show();
  return {};
}

Result<std::size_t> PiecewiseInput::read_past_window(std::span<std::byte> into) {
  if (rest_.empty()) return ends_early(into.size());
  const auto part = take(std::min(piece_, into.size()));
  std::ranges::copy(part, into.begin());
  return part.size();
}

std::span<const std::byte> PiecewiseInput::take(std::size_t count) {
  const auto part = rest_.first(std::min(count, rest_.size()));
  rest_ = rest_.subspan(part.size());
  return part;
}

Recoder::Recoder(const StreamDescription& stream) {
  for (const DeviceDescription& device : stream.devices)
    lengths_[{device.name, device.instance}] = device.state.length;
}

Result<> Recoder::on_file_header() {
  encode_file_header(out);
  return {};
}

Result<> Recoder::on_configuration(const Configuration& configuration) {
  encode_configuration(out, configuration);
  return {};
}

Result<> Recoder::on_section(RecordType type, const SectionHeader& header) {
  if (type == RecordType::section_start || type == RecordType::section_full)
    encode_section_header(out, type, header);
  else
    encode_section_id(out, type, header.id);
  return {};
}

Result<> Recoder::copy(std::uint64_t length, Input& in) {
  std::array<std::byte, 4096> piece;
  while (length > 0) {
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(length, piece.size())));
    GODWIT_TRY(in.read(part));
    out.bytes(part);
    length -= part.size();
  }
  return {};
}

Result<> Recoder::on_section_data(RecordType, const SectionHeader& header, Input& in) {
  const Device device = make_device(header.name, header.instance);
  if (!device.section) {
    const auto length = lengths_.find({header.name, header.instance});
    if (length == lengths_.end() && find_footers) {
      GODWIT_ASSIGN(const auto bytes, read_to_footer(in, header.id));
      out.bytes(bytes);
      ++opaque_sections;
      return {};
    }
    if (length == lengths_.end())
      return fail("expected a section that is known here before offset {:#x}", in.offset());
    ++opaque_sections;
    return copy(length->second, in);
  }
  const auto& identity = device.section->identity();
  if (header.version < identity.minimum_version || header.version > identity.version)
    return fail("expected version {} to {} before offset {:#x}, got {}", identity.minimum_version,
                identity.version, in.offset(), header.version);
  GODWIT_TRY(device.section->load(in, header.version));
  std::string state;
  GODWIT_TRY(device.section->save(out, state));
  description.add_device(header.name, header.instance, state);
  return {};
}

Result<> Recoder::on_block_list(std::span<const BlockEntry> blocks) {
  if (recovery) return {};
  if (list_head_ == 0) {
    encode_block_list(out, blocks);
    return {};
  }
  fill_to(mapped_end_);
  Output head;
  std::uint64_t total = 0;
  for (const BlockEntry& block : blocks) total += block.length;
  encode_block_list_head(head, total);
  SpanInput words(head.data());
  out.patch_be32(list_head_, *words.be32());
  out.patch_be32(list_head_ + 4, *words.be32());
  return {};
}

void Recoder::fill_to(std::uint64_t offset) {
  if (offset > out.size()) out.zeros(offset - out.size());
}

Result<> Recoder::on_mapped_block(const BlockEntry& block, const MappedRam& header,
                                  std::span<const std::uint64_t> bitmap) {
  fill_to(mapped_end_);
  if (list_head_ == 0) {
    list_head_ = out.size();
    encode_block_list_head(out, 0);
  }
  encode_block_entry(out, block);
  encode_mapped_ram(out, header);
  for (const std::uint64_t word : bitmap) out.be64(std::byteswap(word));
  mapped_pages_ = header.pages_offset;
  mapped_end_ = header.pages_offset + block.length;
  return {};
}

Result<> Recoder::on_mapped_page(const BlockEntry&, std::uint64_t offset, Input& in) {
  fill_to(mapped_pages_ + offset);
  return copy(page_size, in);
}

Result<> Recoder::on_disk_record(const DiskRecord& record, Input& in) {
  encode_disk_record(out, record);
  return copy(record.payload, in);
}

Result<> Recoder::on_bitmap_chunk(const BitmapChunk& chunk, const BitmapReader&, Input& in) {
  encode_bitmap_chunk(out, chunk);
  return copy(chunk.payload, in);
}

Result<> Recoder::on_colo_message(const ColoMessage& message) {
  encode_colo_message(out, message);
  return {};
}

Result<> Recoder::on_ram_record(const PageRecord& record, const BlockEntry* block, Input& in) {
  std::array<std::byte, page_header_limit> head;
  const std::size_t length = encode_page_header(head.data(), record.kind, record.offset, record.continued,
                                                block == nullptr ? "" : block->name);
  out.bytes(std::span(head).first(length));
  if (record.kind == PageKind::zero) out.u8(record.fill);
  if (record.kind == PageKind::xbzrle || record.kind == PageKind::compressed)
    out.bytes(std::span(head).first(encode_payload_length(head.data(), record.kind, record.payload)));
  return copy(record.payload, in);
}

Result<> Recoder::on_footer(const SectionHeader& header) {
  if (footers) encode_footer(out, header.id);
  return {};
}

Result<> Recoder::on_command(const Command& command) {
  encode_command(out, command);
  return {};
}

Result<> Recoder::on_eof() {
  encode_eof(out);
  return {};
}

Result<> Recoder::on_description(std::string_view json) {
  GODWIT_TRY(parse_description(json));
  encode_description(out, json);
  return {};
}

}  // namespace godwit::wire::test

// Cuts the golden streams into seeds for the fuzz targets: make_seeds OUT writes OUT/TARGET/...
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "wire/test_stream.h"

using namespace godwit;
namespace fs = std::filesystem;

namespace {

class Seeds {
 public:
  explicit Seeds(fs::path out) : out_(std::move(out)) {}

  void add(std::string_view target, std::span<const std::byte> bytes, std::string_view prefix = "") {
    const fs::path folder = out_ / ("fuzz_" + std::string(target));
    fs::create_directories(folder);
    std::ofstream file(folder / std::to_string(count_++), std::ios::binary);
    file << prefix << wire::test::text_of(bytes);
  }

 private:
  fs::path out_;
  int count_ = 0;
};

/// Encodes the stream again with few of its zero pages, and takes the seeds of the smaller targets from its
/// parts.
class Cutter final : public wire::test::Recoder {
 public:
  Cutter(const wire::StreamDescription& description, Seeds& seeds) : Recoder(description), seeds_(seeds) {
    find_footers = true;
  }

  /// What is only whole at the end.
  void finish() {
    if (disk_records_.size() > 0)
      seeds_.add("block_section", disk_records_.data(), std::string_view("\0", 1));
    if (bitmap_chunks_.size() > 0) seeds_.add("bitmap_section", bitmap_chunks_.data());
    if (colo_messages_.size() > 0)
      seeds_.add("small_streams", colo_messages_.data(), std::string_view("\0", 1));
  }

  Result<> on_configuration(const wire::Configuration& configuration) override {
    GODWIT_TRY(Recoder::on_configuration(configuration));
    seeds_.add("configuration", out.data());
    return {};
  }
  Result<> on_section_data(wire::RecordType type, const wire::SectionHeader& header, Input& in) override {
    const std::size_t start = out.size();
    const auto names = wire::test::device_names();
    GODWIT_TRY(Recoder::on_section_data(type, header, in));
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] != header.name) continue;
      const auto oldest = wire::test::make_device(names[i], 0).section->identity().minimum_version;
      const char prefix[] = {static_cast<char>(i), static_cast<char>(header.version - oldest)};
      seeds_.add("field_table", out.data().subspan(start), std::string_view(prefix, 2));
    }
    Output ended;
    ended.bytes(out.data().subspan(start));
    wire::encode_footer(ended, 5);
    wire::encode_eof(ended);
    seeds_.add("small_streams", ended.data(), "\3");
    Output frame;
    wire::encode_section_header(frame, type, header);
    wire::encode_footer(frame, header.id);
    seeds_.add("record", frame.data());
    return {};
  }
  Result<> on_block_list(std::span<const wire::BlockEntry> blocks) override {
    ram_ = out.size();
    has_addresses_ = !blocks.empty() && blocks[0].guest_address.has_value();
    return Recoder::on_block_list(blocks);
  }
  Result<> on_ram_record(const wire::PageRecord& record, const wire::BlockEntry* block, Input& in) override {
    if (record.kind == wire::PageKind::xbzrle || record.kind == wire::PageKind::compressed) {
      GODWIT_ASSIGN(const auto payload, in.need(record.payload));
      if (record.kind == wire::PageKind::xbzrle) seeds_.add("xbzrle", payload);
      if (record.kind == wire::PageKind::compressed)
        seeds_.add("compress", payload, std::string_view("\0", 1));
    }
    const bool plain = record.kind == wire::PageKind::zero || record.kind == wire::PageKind::normal;
    if (plain && record.continued && ++pages_ > 6) return in.discard(record.payload);
    GODWIT_TRY(Recoder::on_ram_record(record, block, in));
    if (record.kind == wire::PageKind::end_of_section && ram_ != 0)
      seeds_.add("ram", out.data().subspan(ram_),
                 has_addresses_ ? std::string_view("\1") : std::string_view("\0", 1));
    ram_ = 0;
    return {};
  }
  Result<> on_mapped_block(const wire::BlockEntry& block, const wire::MappedRam& header,
                           std::span<const std::uint64_t> bitmap) override {
    Output head;
    wire::encode_mapped_ram(head, header);
    seeds_.add("small_streams", head.data(), "\1");
    return Recoder::on_mapped_block(block, header, bitmap);
  }
  Result<> on_disk_record(const wire::DiskRecord& record, Input& in) override {
    wire::encode_disk_record(disk_records_, record);
    return Recoder::on_disk_record(record, in);
  }
  Result<> on_bitmap_chunk(const wire::BitmapChunk& chunk, const wire::BitmapReader& names,
                           Input& in) override {
    const std::size_t start = out.size();
    GODWIT_TRY(Recoder::on_bitmap_chunk(chunk, names, in));
    bitmap_chunks_.bytes(out.data().subspan(start));
    return {};
  }
  Result<> on_colo_message(const wire::ColoMessage& message) override {
    wire::encode_colo_message(colo_messages_, message);
    return Recoder::on_colo_message(message);
  }
  Result<> on_command(const wire::Command& command) override {
    const std::size_t start = out.size();
    GODWIT_TRY(Recoder::on_command(command));
    seeds_.add("record", out.data().subspan(start));
    return {};
  }
  Result<> on_description(std::string_view json) override {
    seeds_.add("description", wire::test::bytes_of(json));
    return Recoder::on_description(json);
  }

 private:
  Seeds& seeds_;
  std::size_t ram_ = 0;
  bool has_addresses_ = false;
  int pages_ = 0;
  Output disk_records_;
  Output bitmap_chunks_;
  Output colo_messages_;
};

/// Every device as it is after reset.
void reset_states(Seeds& seeds) {
  const auto names = wire::test::device_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto device = wire::test::make_device(names[i], 0);
    Output out;
    std::string state;
    if (!device.section->save(out, state)) continue;
    const char prefix[] = {
        static_cast<char>(i),
        static_cast<char>(device.section->identity().version - device.section->identity().minimum_version)};
    seeds.add("field_table", out.data(), std::string_view(prefix, 2));
  }
}

int cut(const std::string& name, Seeds& seeds) {
  constexpr std::size_t large = 256 * 1024;  // a fuzzer gets nowhere with more
  const auto bytes = wire::test::golden(name);
  seeds.add("small_streams", std::span(bytes).first(std::min<std::size_t>(bytes.size(), 16)), "\2");
  if (name.contains("-to-src")) {
    if (!name.contains("colo")) seeds.add("return_path", bytes);
    seeds.add("inspect", bytes);
    return 0;
  }
  if (name.contains("-channel") || name.contains("-urgent")) {
    const auto method = static_cast<char>(name.contains("zlib") ? 1 : name.contains("zstd") ? 2 : 0);
    if (name.contains("-channel")) seeds.add("multifd", bytes, std::string_view(&method, 1));
    seeds.add("inspect", bytes);
    return 0;
  }
  if (name.contains("-channel")) {
    const auto method = static_cast<char>(name.contains("zlib") ? 1 : name.contains("zstd") ? 2 : 0);
    seeds.add("multifd", bytes, std::string_view(&method, 1));
    return 0;
  }
  const auto description = wire::parse_description(wire::test::description_of(bytes));
  Cutter cutter(description ? *description : wire::StreamDescription{}, seeds);
  const wire::WalkOptions options = wire::test::options_of(name);
  cutter.footers = *options.footers;
  cutter.recovery = !options.file_header;
  SpanInput in(bytes);
  if (const auto result = wire::StreamWalker(in, cutter, options).run(); !result && !name.contains("conn0")) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), result.error().what().c_str());
    return 1;
  }
  cutter.finish();
  if (cutter.out.size() > large) return 0;
  seeds.add("inspect", cutter.out.data());
  if (options.file_header) seeds.add("stream", cutter.out.data());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  Seeds seeds(arguments[1]);
  reset_states(seeds);
  int failed = 0;
  for (const std::string& name : wire::test::golden_names()) failed |= cut(name, seeds);
  return failed;
}

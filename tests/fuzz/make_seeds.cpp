// Cuts the golden streams into seeds for the fuzz targets: make_seeds GOLDEN OUT writes OUT/TARGET/...
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
  Cutter(const wire::StreamDescription& description, Seeds& seeds) : Recoder(description), seeds_(seeds) {}

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
};

std::vector<std::byte> read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto bytes = wire::test::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

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

int cut(const fs::path& path, Seeds& seeds) {
  const auto bytes = read(path);
  const std::string name = path.filename();
  if (name.ends_with("-to-src.bin")) {
    seeds.add("return_path", bytes);
    return 0;
  }
  if (name.contains("-channel")) {
    const auto method = static_cast<char>(name.contains("zlib") ? 1 : name.contains("zstd") ? 2 : 0);
    seeds.add("multifd", bytes, std::string_view(&method, 1));
    return 0;
  }
  const auto description = wire::parse_description(wire::test::description_of(bytes));
  Cutter cutter(description ? *description : wire::StreamDescription{}, seeds);
  wire::WalkOptions options;
  if (name.starts_with("02-")) options.configuration = options.footers = false;
  SpanInput in(bytes);
  if (const auto result = wire::StreamWalker(in, cutter, options).run(); !result) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), result.error().what().c_str());
    return 1;
  }
  seeds.add("stream", cutter.out.data());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  Seeds seeds(arguments[2]);
  reset_states(seeds);
  int failed = 0;
  for (const auto& entry : fs::recursive_directory_iterator(arguments[1]))
    if (entry.path().extension() == ".bin" || entry.path().extension() == ".mig")
      failed |= cut(entry.path(), seeds);
  return failed;
}

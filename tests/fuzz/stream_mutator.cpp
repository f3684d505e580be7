#include "stream_mutator.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "wire/section_end.h"
#include "wire/test_stream.h"

namespace godwit::fuzz {
namespace {

using Kind = StreamField::Kind;
using wire::RecordType;

/// Notes where the walker is whenever it shows something.
class Cartographer final : public wire::StreamVisitor {
 public:
  explicit Cartographer(const Input& in) : in_(in) {}

  StreamMap map;

  Result<> on_record(RecordType type, std::uint64_t offset) override {
    open(type, offset);
    return {};
  }
  Result<> on_section(RecordType type, const wire::SectionHeader& header) override {
    const std::size_t at = map.records.back().begin + 1;
    add(Kind::id, at, 4);
    if (type == RecordType::section_start || type == RecordType::section_full) {
      add(Kind::name_length, at + 4, 1);
      add(Kind::instance, at + 5 + header.name.size(), 4);
      add(Kind::version, at + 9 + header.name.size(), 4);
    }
    data_ = map.records.back().data = in_.offset();
    return {};
  }
  Result<> on_section_data(RecordType, const wire::SectionHeader& header, Input& in) override {
    GODWIT_TRY(wire::read_to_footer(in, header.id));
    return {};
  }
  Result<> on_mapped_block(const wire::BlockEntry&, const wire::MappedRam&,
                           std::span<const std::uint64_t>) override {
    mapped_ = true;
    return {};
  }
  Result<> on_block_list(std::span<const wire::BlockEntry> blocks) override {
    std::size_t at = std::exchange(data_, in_.offset());
    if (mapped_) return {};  // its pages are between the lines
    add(Kind::length, at, 8);
    at += 8;
    for (const wire::BlockEntry& block : blocks) {
      add(Kind::name_length, at, 1);
      at += 1 + block.name.size();
      add(Kind::length, at, 8);
      at += 8 + (block.host_page_size ? 8 : 0) + (block.guest_address ? 8 : 0);
    }
    return {};
  }
  Result<> on_ram_record(const wire::PageRecord& record, const wire::BlockEntry*, Input& in) override {
    add(Kind::page_word, data_, 8);
    if (wire::is_page(record.kind) && !record.continued) add(Kind::name_length, data_ + 8, 1);
    GODWIT_TRY(in.discard(record.payload));
    data_ = in.offset();
    return {};
  }
  Result<> on_footers(bool present) override {
    footers_ = present;
    return {};
  }
  Result<> on_footer(const wire::SectionHeader&) override {
    map.records.back().data_end = in_.offset() - (footers_ ? 5 : 0);
    if (!footers_) return {};
    add(Kind::type, in_.offset() - 5, 1);
    add(Kind::id, in_.offset() - 4, 4);
    return {};
  }
  Result<> on_command(const wire::Command&) override {
    StreamRecord& record = map.records.back();
    record.data = record.begin + 5;
    record.data_end = in_.offset();
    add(Kind::version, record.begin + 1, 2);  // which command
    add(Kind::length, record.begin + 3, 2);
    return {};
  }
  Result<> on_description(std::string_view json) override {
    const std::size_t begin = in_.offset() - json.size() - 5;
    open(RecordType::description, begin);
    map.records.back().data = begin + 5;
    add(Kind::length, begin + 1, 4);
    return {};
  }

  void close(std::size_t offset) {
    if (map.records.empty()) return;
    StreamRecord& record = map.records.back();
    record.end = offset;
    if (record.data_end == 0) record.data_end = offset;
  }

 private:
  void open(RecordType type, std::size_t offset) {
    close(offset);
    map.records.push_back({.type = type, .begin = offset, .data = offset + 1});
    add(Kind::type, offset, 1);
  }
  void add(Kind kind, std::size_t at, std::uint8_t width) { map.fields.push_back({kind, at, width}); }

  const Input& in_;
  std::size_t data_ = 0;  ///< where what has not been shown yet begins
  bool footers_ = true;
  bool mapped_ = false;
};

class Mutator {
 public:
  Mutator(std::vector<std::byte>& stream, std::size_t room, std::uint32_t seed, const PlainMutation& plain)
      : stream_(stream), room_(room), random_(seed), plain_(plain), map_(map_stream(stream)) {}

  void run() {
    switch (map_.records.empty() ? 9 : below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return change_field();
      case 4:
        return remove(any_record());
      case 5:
        return insert(any_record(), any_record().begin);
      case 6:
        return exchange(any_record(), any_record());
      case 7:
      case 8:
        return change_data(any_record());
      default:
        return change(0, stream_.size());
    }
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  const StreamRecord& any_record() { return map_.records[below(map_.records.size())]; }
  auto at(std::size_t offset) { return stream_.begin() + static_cast<std::ptrdiff_t>(offset); }

  std::uint64_t load(const StreamField& field) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < field.width; ++i)
      value = value << 8 | static_cast<std::uint64_t>(stream_[field.at + i]);
    return value;
  }
  void store(const StreamField& field, std::uint64_t value) {
    for (std::size_t i = field.width; i-- > 0; value >>= 8)
      stream_[field.at + i] = static_cast<std::byte>(value & 0xff);
  }

  void change_field() {
    // A stream has thousands of RAM records and a few of everything else.
    std::array<std::vector<const StreamField*>, 7> by_kind;
    for (const StreamField& field : map_.fields)
      if (field.at + field.width <= stream_.size())
        by_kind[static_cast<std::size_t>(field.kind)].push_back(&field);
    const auto& fields = by_kind[below(by_kind.size())];
    if (fields.empty()) return change(0, stream_.size());
    const StreamField& field = *fields[below(fields.size())];
    store(field, other_value(field, *fields[below(fields.size())]));
  }

  std::uint64_t other_value(const StreamField& field, const StreamField& alike) {
    const std::uint64_t value = load(field);
    constexpr std::array<std::uint64_t, 8> page_flags{0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x100, 0x200};
    constexpr std::array<std::uint64_t, 11> edges{
        0, 1, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 47, 1ULL << 63, ~0ULL};
    switch (below(6)) {
      case 0:
        return edges[below(edges.size())];
      case 1:
        return value + 1;
      case 2:
        return value - 1;
      case 3:
        return alike.width == field.width ? load(alike) : value ^ 1;
      case 4:
        if (field.kind == Kind::page_word) return value ^ page_flags[below(page_flags.size())];
        return value ^ (1ULL << below(field.width * 8U));
      default:
        if (field.kind == Kind::page_word || field.width == 8) return value ^ (0x1000ULL << below(52));
        return value * 2;
    }
  }

  void remove(const StreamRecord& record) { stream_.erase(at(record.begin), at(record.end)); }

  void insert(const StreamRecord& record, std::size_t before) {
    const std::vector<std::byte> copy(at(record.begin), at(record.end));
    if (stream_.size() + copy.size() > room_) return remove(record);
    stream_.insert(at(before), copy.begin(), copy.end());
  }

  void exchange(const StreamRecord& one, const StreamRecord& other) {
    const auto& first = one.begin <= other.begin ? one : other;
    const auto& second = one.begin <= other.begin ? other : one;
    if (first.begin == second.begin) return insert(one, one.begin);
    std::vector<std::byte> result(stream_.begin(), at(first.begin));
    result.insert(result.end(), at(second.begin), at(second.end));
    result.insert(result.end(), at(first.end), at(second.begin));
    result.insert(result.end(), at(first.begin), at(first.end));
    result.insert(result.end(), at(second.end), stream_.end());
    stream_ = std::move(result);
  }

  /// Between the head and the footer, so that the frame stays as it is.
  void change_data(const StreamRecord& record) {
    change(std::min(record.data, record.data_end), record.data_end);
  }

  void change(std::size_t begin, std::size_t end) {
    const std::size_t left = room_ - std::min(room_, stream_.size());
    std::vector<std::uint8_t> part(end - begin + std::min<std::size_t>(left, 64));
    if (part.empty()) return;
    for (std::size_t i = begin; i < end; ++i) part[i - begin] = static_cast<std::uint8_t>(stream_[i]);
    part.resize(std::min(part.size(), plain_(part.data(), end - begin, part.size())));
    std::vector<std::byte> result(stream_.begin(), at(begin));
    for (const std::uint8_t byte : part) result.push_back(static_cast<std::byte>(byte));
    result.insert(result.end(), at(end), stream_.end());
    stream_ = std::move(result);
  }

  std::vector<std::byte>& stream_;
  std::size_t room_;
  std::minstd_rand random_;
  const PlainMutation& plain_;
  StreamMap map_;
};

}  // namespace

StreamMap map_stream(std::span<const std::byte> stream) {
  SpanInput in(stream);
  Cartographer visitor(in);
  wire::WalkOptions options;
  options.configuration = options.footers = std::nullopt;
  // As far as it goes: a stream that was changed before ends with an error somewhere.
  (void)wire::StreamWalker(in, visitor, std::move(options)).run();
  visitor.close(stream.size());
  return std::move(visitor.map);
}

void mutate_stream(std::vector<std::byte>& stream, std::size_t room, std::uint32_t seed,
                   const PlainMutation& plain) {
  Mutator(stream, room, seed, plain).run();
  if (stream.size() > room) stream.resize(room);
}

std::vector<std::byte> cross_streams(std::span<const std::byte> one, std::span<const std::byte> other,
                                     std::size_t room, std::uint32_t seed) {
  std::minstd_rand random(seed);
  const auto cut = [&random](const StreamMap& map) -> std::size_t {
    return map.records.empty() ? 0 : map.records[random() % map.records.size()].begin;
  };
  const auto head = one.first(cut(map_stream(one)));
  const auto tail = other.subspan(cut(map_stream(other)));
  std::vector<std::byte> result(head.begin(), head.end());
  result.insert(result.end(), tail.begin(), tail.end());
  result.resize(std::min(result.size(), room));
  return result;
}

}  // namespace godwit::fuzz

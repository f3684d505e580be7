// The recorded streams cut off at every byte, and with every bit turned over: an error that says where and
// what was expected, or a guest that loads; nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "engine/testing/none_guest.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

using ::testing::AnyOf;
using testing::golden;
using ::testing::HasSubstr;
using testing::Load;
using testing::load;
using testing::NoneGuest;

struct Sample {
  std::string file;
  std::string block;
  bool ignores_shared = false;
};

void PrintTo(const Sample& sample, std::ostream* out) {
  *out << sample.file;
}

/// A stream, and which of its bytes are the contents of pages.
struct Stream {
  std::vector<std::byte> bytes;
  std::vector<bool> is_page;
};

/// Copies a stream record by record. Of the zero pages that follow one another only the first few are kept:
/// the others are the same over and over.
class Shortener {
 public:
  explicit Shortener(const Sample& sample) : sample_(sample), from_(golden(sample.file)), in_(from_) {}

  Stream run() {
    must(wire::decode_file_header(in_));
    must(wire::decode_configuration(in_));
    for (bool pages_follow = true; pages_follow;) pages_follow = record();
    stream_.bytes.insert(stream_.bytes.end(), from_.begin() + static_cast<std::ptrdiff_t>(copied_),
                         from_.end());
    stream_.is_page.resize(stream_.bytes.size());
    return std::move(stream_);
  }

 private:
  static constexpr int kept_in_a_row = 12;

  template <typename T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().what());
    if constexpr (!std::is_void_v<T>) return *std::move(result);
  }

  bool record() {
    const auto type = must(wire::decode_record_type(in_));
    if (type == wire::RecordType::section_start) {
      must(wire::decode_section_header(in_));
      must(wire::decode_block_list(
          in_, {.has_host_page_size = {}, .has_guest_addresses = sample_.ignores_shared}));
      must(wire::decode_end_of_section(in_));
      must(wire::decode_footer(in_, 2));
      return true;
    }
    if (type != wire::RecordType::section_part && type != wire::RecordType::section_end) return false;
    must(wire::decode_section_id(in_));
    while (page()) continue;
    must(wire::decode_footer(in_, 2));
    return true;
  }

  bool page() {
    const std::size_t start = in_.offset();
    const auto record = must(reader_.next(in_));
    if (record.kind == wire::PageKind::end_of_section) return false;
    if (record.kind == wire::PageKind::normal) {
      copy_to(in_.offset());
      must(in_.discard(page_size));
      copy_to(in_.offset());
      std::fill(stream_.is_page.end() - page_size, stream_.is_page.end(), true);
    }
    zeros_in_a_row_ = record.kind == wire::PageKind::zero && record.continued ? zeros_in_a_row_ + 1 : 0;
    if (zeros_in_a_row_ > kept_in_a_row) {
      copy_to(start);
      copied_ = in_.offset();
    }
    return true;
  }

  void copy_to(std::size_t end) {
    if (end <= copied_) return;
    const auto at = [this](std::size_t offset) {
      return from_.begin() + static_cast<std::ptrdiff_t>(offset);
    };
    stream_.bytes.insert(stream_.bytes.end(), at(copied_), at(end));
    stream_.is_page.resize(stream_.bytes.size());
    copied_ = end;
  }

  Sample sample_;
  std::vector<std::byte> from_;
  SpanInput in_;
  wire::PageReader reader_{[](std::string_view) { return wire::KnownBlock{0, 16 << 20}; }};
  Stream stream_;
  std::size_t copied_ = 0;
  int zeros_in_a_row_ = 0;
};

class DamagedStream : public ::testing::TestWithParam<Sample> {
 protected:
  DamagedStream() : guest_(GetParam().block, 4096, GetParam().ignores_shared) {
    capabilities_.set(Capability::x_ignore_shared, GetParam().ignores_shared);
    if (GetParam().ignores_shared)
      guest_.own_uuid = Uuid{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                             0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
  }

  Load load_from(std::span<const std::byte> stream) { return load(guest_, stream, capabilities_); }

  /// Where, in the bytes of the stream, and what was expected or is wrong there.
  static void expect_useful(const Error& error, std::size_t where) {
    EXPECT_THAT(error.what(), HasSubstr("offset 0x")) << "damaged at byte " << where;
    EXPECT_THAT(error.what(),
                AnyOf(HasSubstr("expected"), HasSubstr("received"), HasSubstr("understood"),
                      HasSubstr("does not exist here"), HasSubstr("has no such"), HasSubstr("never started"),
                      HasSubstr("no run state"), HasSubstr("starts a second time"), HasSubstr("is shared"),
                      HasSubstr("set it alike"), HasSubstr("not built")))
        << "damaged at byte " << where;
  }

  /// Bits of pages cannot be wrong; some are tried all the same.
  static bool is_tried(const Stream& stream, std::size_t at) { return !stream.is_page[at] || at % 251 == 0; }

  NoneGuest guest_;
  Capabilities capabilities_;
};

TEST_P(DamagedStream, WholeItLoads) {
  const auto loaded = load_from(Shortener(GetParam()).run().bytes);
  EXPECT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  EXPECT_EQ(loaded.state, RunState::running);
}

TEST_P(DamagedStream, CutOffAnywhereItIsRefused) {
  const auto stream = Shortener(GetParam()).run();
  std::size_t loaded = 0;
  for (std::size_t length = 0; length < stream.bytes.size(); ++length) {
    const auto cut = load_from(std::span(stream.bytes).first(length));
    loaded += cut.result.has_value();
    if (!cut.result) expect_useful(cut.result.error(), length);
    if (HasFailure()) return;
  }
  // Behind the end of the stream the description may be missing altogether: that is the one cut that is none.
  EXPECT_EQ(loaded, 1u);
}

TEST_P(DamagedStream, WithAnyBitTurnedOverItIsRefusedOrLoads) {
  auto stream = Shortener(GetParam()).run();
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < stream.bytes.size() * 8; ++bit) {
    if (!is_tried(stream, bit / 8)) continue;
    const auto flip = static_cast<std::byte>(1u << (bit % 8));
    stream.bytes[bit / 8] ^= flip;
    const auto flipped = load_from(stream.bytes);
    stream.bytes[bit / 8] ^= flip;
    if (flipped.result) continue;
    ++refused;
    expect_useful(flipped.result.error(), bit / 8);
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, 1000u);
}

/// The whole recording, at places that a short one does not have.
TEST_P(DamagedStream, InALongRunOfZeroPagesItIsRefusedToo) {
  const auto stream = golden(GetParam().file);
  for (std::size_t length = 29; length < stream.size() - 700; length += 29) {
    const auto cut = load_from(std::span(stream).first(length));
    ASSERT_FALSE(cut.result.has_value()) << length;
    expect_useful(cut.result.error(), length);
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, DamagedStream,
                         ::testing::Values(Sample{"01-precopy-plain.bin", "m0"},
                                           Sample{"03-config-capabilities-uuid.bin", "m0", true},
                                           Sample{"13-background-snapshot.bin", "ram"}),
                         [](const auto& sample) { return "Sample" + sample.param.file.substr(0, 2); });

}  // namespace
}  // namespace godwit::engine

// The loader against the simplest one there can be, on streams of every shape that arrive in pieces of every
// size.
#include "engine/incoming/ram_loader.h"

#include <algorithm>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <rapidcheck/gtest.h>

#include "base/fail.h"
#include "base/testing/not_tested_here.h"
#include "channel/channel_input.h"
#include "engine/testing/fake_guest.h"
#include "memory/populated.h"

namespace godwit::engine {
namespace {

using testing::FakeGuest;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kPages[] = {400, 150};
constexpr std::string_view kNames[] = {"large", "small"};

/// Gives its bytes in pieces of random size, as a connection does.
class PieceChannel final : public channel::Channel {
 public:
  PieceChannel(std::span<const std::byte> bytes, std::size_t largest_piece, unsigned seed)
      : rest_(bytes), largest_piece_(largest_piece), random_(seed) {}

  Result<std::size_t> read(std::span<const iovec> parts) override {
    std::size_t piece = std::min(rest_.size(), std::size_t{1} + random_() % largest_piece_);
    std::size_t count = 0;
    for (const iovec& part : parts) {
      const std::size_t here = std::min(part.iov_len, piece - count);
      std::memcpy(part.iov_base, rest_.data() + count, here);
      count += here;
    }
    rest_ = rest_.subspan(count);
    return count;
  }
  Result<> write(std::span<const iovec>) override { return fail("nobody reads here"); }
  void shutdown() noexcept override {}
  Result<> finish_writing() override { return {}; }
  Result<bool> wait_for_peer_close(std::chrono::milliseconds) override { return true; }
  std::string_view kind() const override { return "test"; }
  bool two_way() const override { return false; }
  bool multi_channel() const override { return false; }
  std::string peer() const override { return "test"; }

 private:
  std::span<const std::byte> rest_;
  std::size_t largest_piece_;
  std::mt19937 random_;
};

/// Makes streams. Each page of noise is different.
class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  void setup() {
    std::vector<wire::BlockEntry> entries(2);
    for (std::size_t block = 0; block < entries.size(); ++block) {
      entries[block].name = kNames[block];
      entries[block].length = kPages[block] * page_size;
    }
    wire::encode_block_list(out_, entries);
    wire::encode_end_of_section(out_);
  }
  void normal(std::size_t block, std::uint64_t page) {
    header(wire::PageKind::normal, block, page);
    std::uint64_t words[page_size / 8];
    for (std::uint64_t& word : words) word = random_();
    out_.bytes(std::as_bytes(std::span(words)));
  }
  void run(std::size_t block, std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count && first + i < kPages[block]; ++i) normal(block, first + i);
  }
  void zero(std::size_t block, std::uint64_t page, std::uint8_t fill = 0) {
    header(wire::PageKind::zero, block, page);
    out_.u8(fill);
  }
  void end() { wire::encode_end_of_section(out_); }

  Bytes take() const { return {out_.data().begin(), out_.data().end()}; }

 private:
  void header(wire::PageKind kind, std::size_t block, std::uint64_t page) {
    std::byte bytes[wire::page_header_limit];
    const std::size_t size =
        wire::encode_page_header(bytes, kind, page * page_size, last_ == block, kNames[block]);
    out_.bytes({bytes, size});
    last_ = block;
  }

  Output out_;
  std::size_t last_ = 2;
  std::mt19937_64 random_;
};

/// What became of a stream: the memory, where it ended, and why.
struct Outcome {
  std::vector<Bytes> memory;
  std::uint64_t offset = 0;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

Outcome load_simply(std::span<const std::byte> stream) {
  Outcome outcome;
  for (const std::uint64_t pages : kPages) outcome.memory.emplace_back(pages * page_size);
  SpanInput in(stream);
  const auto load = [&]() -> Result<> {
    GODWIT_TRY(wire::decode_block_list(in, {}));
    GODWIT_TRY(wire::decode_end_of_section(in));
    wire::PageReader reader([](std::string_view name) -> Result<wire::KnownBlock> {
      for (std::uint32_t i = 0; i < 2; ++i)
        if (kNames[i] == name) return wire::KnownBlock{i, kPages[i] * page_size};
      return fail("RAM block '{}' does not exist here", name);
    });
    while (in.buffered() > 0) {
      GODWIT_ASSIGN(const wire::PageRecord record, reader.next(in));
      std::byte* const at =
          wire::is_page(record.kind) ? &outcome.memory[record.block][record.offset] : nullptr;
      if (record.kind == wire::PageKind::normal)
        GODWIT_TRY(in.read({at, page_size}));
      else if (record.kind == wire::PageKind::zero)
        std::memset(at, record.fill, page_size);
      else if (record.kind != wire::PageKind::end_of_section)
        return fail("a page at offset 0x{:x} of the stream is encoded in a way that is not built yet",
                    in.offset());
    }
    return {};
  }();
  if (!load) outcome.error = load.error().what();
  outcome.offset = in.offset();
  return outcome;
}

struct Loaded {
  Outcome outcome;
  std::uint64_t in_place = 0;
  std::uint64_t given_back = 0;
  std::uint64_t reads = 0;
};

Loaded load(std::span<const std::byte> stream, std::size_t largest_piece, unsigned seed, std::size_t window,
            bool read_ahead = true) {
  FakeGuest guest({{"large", kPages[0]}, {"small", kPages[1]}});
  PieceChannel channel(stream, largest_piece, seed);
  channel::ChannelInput in(channel, window);
  RamLoader loader(guest.ram_blocks(), false);
  if (!read_ahead) loader.stop_reading_ahead();
  Loaded loaded;
  const auto done = [&]() -> Result<> {
    GODWIT_TRY(loader.load_setup(in));
    while (true) {
      GODWIT_ASSIGN(const bool at_end, in.at_end());
      if (at_end) return {};
      GODWIT_TRY(loader.load_pages(in));
    }
  }();
  if (!done) loaded.outcome.error = done.error().what();
  loaded.outcome.offset = in.offset();
  for (const RamBlock& block : guest.ram_blocks())
    loaded.outcome.memory.emplace_back(block.host, block.host + block.size);
  loaded.in_place = loader.runs().pages_in_place();
  loaded.given_back = loader.runs().bytes_given_back();
  loaded.reads = in.reads();
  return loaded;
}

bool memory_can_be_asked() {
  const FakeGuest guest;
  return memory::PopulationProbe(guest.ram_blocks()[0]).knows();
}

Bytes random_stream() {
  Writer writer(*rc::gen::arbitrary<unsigned>());
  writer.setup();
  for (const int step : *rc::gen::resize(30, rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 20)))) {
    const auto block = static_cast<std::size_t>(*rc::gen::inRange(0, 2));
    const auto page = *rc::gen::inRange<std::uint64_t>(0, kPages[block]);
    if (step < 8) {
      writer.run(block, page, *rc::gen::inRange<std::uint64_t>(1, 400));
    } else if (step < 12) {
      writer.run(block, page / 8, kPages[block]);
    } else if (step < 16) {
      for (std::uint64_t i = page; i < std::min(kPages[block], page + 20); ++i) writer.zero(block, i);
    } else if (step < 17) {
      writer.zero(block, page, *rc::gen::arbitrary<std::uint8_t>());
    } else if (step < 18) {
      for (std::uint64_t i = 0; i < 100 && page + i < kPages[block]; i += 2) writer.normal(block, page + i);
    } else {
      writer.end();
    }
  }
  writer.end();
  return writer.take();
}

std::size_t random_piece() {
  return *rc::gen::element<std::size_t>(3, 100, 5000, 40'000, 300'000, 3'000'000);
}
std::size_t random_window() {
  return *rc::gen::inRange<std::size_t>(100'000, 1'500'000);
}

RC_GTEST_PROP(RamLoaderProperty, LoadsWhatTheSimpleOneLoads, ()) {
  const Bytes stream = random_stream();
  const auto loaded = load(stream, random_piece(), *rc::gen::arbitrary<unsigned>(), random_window());
  RC_ASSERT(loaded.outcome.error == "");
  RC_ASSERT(loaded.outcome == load_simply(stream));
}

RC_GTEST_PROP(RamLoaderProperty, RefusesADamagedHeaderAsTheSimpleOneDoes, ()) {
  Writer writer(*rc::gen::arbitrary<unsigned>());
  writer.setup();
  const std::size_t start = writer.take().size();
  const auto before = *rc::gen::inRange<std::uint64_t>(0, kPages[0]);
  writer.run(0, 0, kPages[0]);
  writer.end();
  Bytes stream = writer.take();
  // The first record carries the name; the rest are all of one size.
  const std::size_t header = before == 0 ? start : start + 6 + before * (8 + page_size);
  stream[header + *rc::gen::inRange<std::size_t>(0, 8)] ^= std::byte{1} << *rc::gen::inRange(0, 8);
  const auto loaded = load(stream, random_piece(), *rc::gen::arbitrary<unsigned>(), random_window());
  const Outcome expected = load_simply(stream);
  RC_ASSERT(loaded.outcome.error == expected.error);
  if (expected.error.empty() || loaded.outcome.offset == expected.offset)
    RC_ASSERT(loaded.outcome.memory == expected.memory);
}

RC_GTEST_PROP(RamLoaderProperty, NoticesEveryTruncation, ()) {
  Bytes stream = random_stream();
  stream.resize(*rc::gen::inRange<std::size_t>(0, stream.size()));
  const auto loaded = load(stream, random_piece(), *rc::gen::arbitrary<unsigned>(), random_window());
  // Right behind an end mark nothing is missing; the simple one does not see that a mark is.
  const Outcome expected = load_simply(stream);
  if (!expected.error.empty()) RC_ASSERT(loaded.outcome.error != "");
  if (loaded.outcome.error.empty()) RC_ASSERT(loaded.outcome == expected);
  RC_ASSERT(loaded.outcome.offset <= stream.size());
}

TEST(RamLoader, ReadsARunInPlaceWithFewCalls) {
  if (!memory_can_be_asked()) NOT_TESTED_HERE() << "this kernel has no PAGEMAP_SCAN";
  Writer writer(1);
  writer.setup();
  writer.run(0, 0, kPages[0]);
  writer.end();
  const Bytes stream = writer.take();
  const auto loaded = load(stream, stream.size(), 1, 512 * 1024);
  EXPECT_EQ(loaded.outcome, load_simply(stream));
  EXPECT_GT(loaded.in_place, kPages[0] / 2);
  EXPECT_EQ(loaded.given_back, 0U);
  EXPECT_LT(loaded.reads, 40U);
}

TEST(RamLoader, GoesOnReadingInPlaceInTheNextSection) {
  if (!memory_can_be_asked()) NOT_TESTED_HERE() << "this kernel has no PAGEMAP_SCAN";
  Writer writer(6);
  writer.setup();
  constexpr std::uint64_t section =
      RunReader::shortest_run + 8;  // a run that began anew would win eight pages
  for (std::uint64_t page = 0; page + section <= kPages[0]; page += section) {
    writer.run(0, page, section);
    writer.end();
  }
  const Bytes stream = writer.take();
  const auto loaded = load(stream, 40'000, 6, 512 * 1024);
  EXPECT_EQ(loaded.outcome, load_simply(stream));
  EXPECT_GT(loaded.in_place, kPages[0] / 2);
}

TEST(RamLoader, LeavesNoTraceOfWhatCameOtherwise) {
  if (!memory_can_be_asked()) NOT_TESTED_HERE() << "this kernel has no PAGEMAP_SCAN";
  Writer writer(2);
  writer.setup();
  writer.run(0, 0, 300);
  writer.end();
  writer.run(1, 0, kPages[1]);
  writer.end();
  const Bytes stream = writer.take();
  const auto loaded = load(stream, 10'000'000, 2, 512 * 1024);
  EXPECT_EQ(loaded.outcome, load_simply(stream));
  EXPECT_GT(loaded.given_back, 0U);
}

TEST(RamLoader, NoticesAnEndBetweenTwoPagesAndInAHeader) {
  for (const std::uint64_t pages : {100, 101, 399}) {
    Writer writer(5);
    writer.setup();
    writer.run(0, 0, pages);
    const std::size_t end = writer.take().size();
    writer.normal(0, pages);
    for (const std::size_t piece : {std::size_t{1000}, end, end + page_size}) {
      for (std::size_t of_header = 0; of_header <= 8; ++of_header) {
        Bytes stream = writer.take();
        stream.resize(end + of_header);
        const auto loaded = load(stream, piece, 5, 512 * 1024);
        EXPECT_THAT(loaded.outcome.error, ::testing::HasSubstr("offset"));
        EXPECT_LE(loaded.outcome.offset, stream.size());
      }
    }
  }
}

TEST(RamLoader, ReadsNothingAheadWhenToldSo) {
  Writer writer(3);
  writer.setup();
  writer.run(0, 0, kPages[0]);
  writer.end();
  const Bytes stream = writer.take();
  const auto loaded = load(stream, 100'000, 3, 512 * 1024, false);
  EXPECT_EQ(loaded.outcome, load_simply(stream));
  EXPECT_EQ(loaded.in_place, 0U);
}

TEST(RamLoader, DoesNotReadAheadIntoPagesThatHoldData) {
  Writer writer(4);
  writer.setup();
  for (std::uint64_t page = 0; page < kPages[0]; page += 20) writer.zero(0, page, 7);
  writer.run(0, 1, 300);
  writer.end();
  const Bytes stream = writer.take();
  const auto loaded = load(stream, 10'000'000, 4, 512 * 1024);
  EXPECT_EQ(loaded.outcome, load_simply(stream));
  EXPECT_EQ(loaded.in_place, 0U);
}

}  // namespace
}  // namespace godwit::engine

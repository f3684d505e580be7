#include "engine/incoming/mapped_ram_reader.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/fail.h"
#include "base/thread.h"
#include "memory/zero_scan.h"

namespace godwit::engine {
namespace {

/// The most that one read asks for: 4 MiB. Large enough that the call does not count, and small enough to
/// share between threads and to be ended soon.
constexpr std::uint64_t kPiecePages = 1024;

/// How far ahead of the reads memory is populated.
constexpr std::uint64_t kPagesAhead = 2 * kPiecePages;

}  // namespace

Result<std::unique_ptr<MappedRamReader>> MappedRamReader::open(const channel::Channel& channel,
                                                               unsigned threads, bool direct) {
  GODWIT_ASSIGN(auto file, channel::PositionedFile::open(channel, channel::Direction::incoming, direct));
  return std::unique_ptr<MappedRamReader>(new MappedRamReader(std::move(file), threads));
}

Result<> MappedRamReader::load(const RamBlock& block, const wire::MappedRam& place,
                               std::span<const std::uint64_t> bitmap, DirtyBitmap& touched) {
  GODWIT_ASSIGN(const std::uint64_t file_size, file_->size());
  if (place.pages_offset > file_size || block.size > file_size - place.pages_offset)
    return fail(
        "mapped-ram: the pages of RAM block '{}' are from offset {:#x} to {:#x}, the file ends at {:#x}",
        block.name, place.pages_offset, place.pages_offset + block.size, file_size);
  if (place.pages_offset % page_size != 0)
    return fail("mapped-ram: expected the pages of RAM block '{}' at a multiple of {}, got {:#x}", block.name,
                page_size, place.pages_offset);
  DirtyBitmap wanted(block.pages());
  std::ranges::copy(bitmap, wanted.words().begin());
  std::vector<PageRange> pieces;
  for (PageRange piece = wanted.next_run(0, kPiecePages); piece.count > 0;
       piece = wanted.next_run(piece.first + piece.count, kPiecePages))
    pieces.push_back(piece);
  GODWIT_TRY(read(block, place, pieces));
  for (PageRange run = touched.next_run(0, 1); run.count > 0; run = touched.next_run(run.first + 1, 1)) {
    std::byte* const page = block.host + run.first * page_size;
    if (!wanted.test(run.first) && !memory::is_zero_page(page)) std::memset(page, 0, page_size);
  }
  touched = std::move(wanted);
  return {};
}

Result<> MappedRamReader::read(const RamBlock& block, const wire::MappedRam& place,
                               std::span<const PageRange> pieces) {
  return threads_ > 1 && pieces.size() > 1 ? read_at_once(block, place, pieces)
                                           : read_in_turn(block, place, pieces);
}

/// While one piece is read, another thread gives the pages of the next ones their memory.
Result<> MappedRamReader::read_in_turn(const RamBlock& block, const wire::MappedRam& place,
                                       std::span<const PageRange> pieces) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::uint64_t ahead = pieces[i].first + pieces[i].count;
    const std::uint64_t limit = ahead + kPagesAhead;
    for (std::size_t next = i + 1; next < pieces.size() && pieces[next].first == ahead && ahead < limit;
         ++next)
      ahead += pieces[next].count;
    const std::uint64_t from = pieces[i].first + pieces[i].count;
    if (ahead > from) premapper_.expect({block.host + from * page_size, (ahead - from) * page_size});
    GODWIT_TRY(read_piece(block, place, pieces[i]));
  }
  premapper_.stop();
  return {};
}

Result<> MappedRamReader::read_at_once(const RamBlock& block, const wire::MappedRam& place,
                                       std::span<const PageRange> pieces) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first_error;
  const auto give_up = [&](Error error) {
    next = pieces.size();
    const std::lock_guard lock(mutex);
    if (!first_error) first_error = std::move(error);
  };
  const auto work = [&](std::stop_token) {
    for (std::size_t i = next++; i < pieces.size(); i = next++)
      if (auto done = read_piece(block, place, pieces[i]); !done) return give_up(std::move(done).error());
  };
  {
    std::vector<std::jthread> threads;
    const auto count = std::min<std::size_t>(threads_, pieces.size());
    for (std::size_t i = 0; i < count; ++i)
      threads.push_back(start_thread(fmt::format("multifd-recv-{}", i), work, give_up));
  }
  if (first_error) return fail(*std::move(first_error));
  return {};
}

Result<> MappedRamReader::read_piece(const RamBlock& block, const wire::MappedRam& place, PageRange piece) {
  if (stopped_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
  ++reads_;
  const std::uint64_t offset = piece.first * page_size;
  auto done = file_->read_pages(place.pages_offset + offset, {block.host + offset, piece.count * page_size});
  if (!done) return fail(std::move(done).error().in(fmt::format("RAM block '{}'", block.name)));
  return {};
}

}  // namespace godwit::engine

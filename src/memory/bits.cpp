#include "memory/bits.h"

#include <algorithm>

namespace godwit::memory {

std::uint64_t read_bits(std::span<const std::uint64_t> words, std::uint64_t position, std::uint64_t count) {
  const std::uint64_t shift = position % 64;
  std::uint64_t bits = words[position / 64] >> shift;
  if (shift + count > 64) bits |= words[position / 64 + 1] << (64 - shift);
  return bits & low_bits(count);
}

std::uint64_t merge_bits(DirtyBitmap& bitmap, std::uint64_t page, std::uint64_t dirty, std::uint64_t count) {
  dirty &= low_bits(count);
  if (dirty == 0) return 0;
  const std::uint64_t shift = page % 64;
  std::uint64_t fresh = bitmap.merge_word(page / 64, dirty << shift);
  if (shift + count > 64) fresh += bitmap.merge_word(page / 64 + 1, dirty >> (64 - shift));
  return fresh;
}

std::uint64_t merge_run(DirtyBitmap& bitmap, PageRange run) {
  std::uint64_t fresh = 0;
  while (run.count > 0) {
    const std::uint64_t step = std::min<std::uint64_t>(run.count, 64 - run.first % 64);
    fresh += bitmap.merge_word(run.first / 64, low_bits(step) << (run.first % 64));
    run = {run.first + step, run.count - step};
  }
  return fresh;
}

std::uint64_t merge_range(DirtyBitmap& bitmap, std::uint64_t page, std::span<const std::uint64_t> source,
                          std::uint64_t from, std::uint64_t count) {
  std::uint64_t fresh = 0;
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t step = std::min<std::uint64_t>(count - done, 64);
    fresh += merge_bits(bitmap, page + done, read_bits(source, from + done, step), step);
    done += step;
  }
  return fresh;
}

}  // namespace godwit::memory

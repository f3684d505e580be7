// Is a page all zeros? The first question asked of every page that is sent, so it is vectorised and chosen
// for the processor at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace godwit::memory {

/// True if all page_size bytes at `page` are zero. Stops at the first that is not. `page` may have any
/// alignment.
bool is_zero_page(const std::byte* page);

/// Looks at `count` pages (at most 64) that follow each other from `first`. Bit n of the answer: page n is
/// all zeros. Reads the memory, so pages that were never touched get their page table entries filled in by
/// it.
std::uint64_t zero_pages_in(const std::byte* first, std::size_t count);

/// The same without vectors: what the others are tested against.
bool is_zero_page_scalar(const std::byte* page);

}  // namespace godwit::memory

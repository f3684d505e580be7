// Gives the memory of pages back: what is read there next is missing, or zeros.
#pragma once

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>

namespace godwit::memory {

/// Drops the pages of `range`, which starts and ends at multiples of the host page size. In shared memory
/// they are dropped for everybody. Where the memory is a private mapping of a file with a name, what the file
/// holds shows through.
Result<> discard_pages(const RamBlock& block, PageRange range);

/// Whether what a file holds shows through the private mapping that the block is.
bool file_shows_through(const RamBlock& block);

}  // namespace godwit::memory

// How well does memory compress? Asked of a few pages, so that it costs a few milliseconds.
#pragma once

#include <span>

#include <godwit/ram_block.h>

namespace godwit::engine {

/// Bytes before over bytes after compression (zlib, its fastest level), of pages spread over the blocks that
/// are not all zeros. 1 if there are none. The guest may run.
double sample_compressibility(std::span<const RamBlock> blocks);

}  // namespace godwit::engine

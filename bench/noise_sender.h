// The source's half of a benchmark: a whole block of pages that hold data, as a first pass sends them.
#pragma once

#include "channel/channel.h"
#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/stream_writer.h"

namespace godwit::engine {

inline bool send_block(channel::Channel& channel, const RamBlock& block) {
  StreamWriter out(channel);
  wire::BlockEntry entry;
  entry.name = block.name;
  entry.length = block.size;
  wire::encode_block_list(out.pending(), {&entry, 1});
  wire::encode_end_of_section(out.pending());
  PageBatch batch;
  for (std::uint64_t page = 0; page < block.pages(); page += PageBatch::capacity) {
    batch.begin(block);
    for (std::uint64_t i = 0; i < PageBatch::capacity; ++i) batch.add_normal(page + i);
    if (!batch.write(out)) return false;
  }
  wire::encode_end_of_section(out.pending());
  return out.flush().has_value();
}

}  // namespace godwit::engine

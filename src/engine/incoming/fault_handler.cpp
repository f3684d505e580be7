#include "engine/incoming/fault_handler.h"

#include <array>

#include "engine/probes.h"
#include "wire/return_path.h"

namespace godwit::engine {

FaultHandler::FaultHandler(std::span<const RamBlock> blocks, memory::PostcopyMemory& memory,
                           MissingPages& missing, Blocktime* blocktime, Clock& clock)
    : blocks_(blocks), memory_(memory), missing_(missing), blocktime_(blocktime), clock_(clock) {}

Result<std::size_t> FaultHandler::take(Output& requests) {
  std::array<memory::MissingPage, 16> room;
  GODWIT_ASSIGN(const auto faults, memory_.read_faults(room));
  for (const memory::MissingPage& fault : faults) {
    if (!missing_.contains(fault.block, fault.offset)) {
      // Nobody ever wrote there, or it has just been placed.
      GODWIT_TRY(memory_.place_zeros(fault.block, fault.offset));
      continue;
    }
    if (blocktime_) blocktime_->begin(fault.thread_id, fault.block, fault.offset, clock_.now());
    if (missing_.ask(fault.block, fault.offset)) encode_request(requests, fault.block, fault.offset);
  }
  return faults.size();
}

void FaultHandler::placed(std::size_t block, std::uint64_t offset) {
  if (blocktime_) blocktime_->end(block, offset, clock_.now());
}

void FaultHandler::ask_again(Output& requests) {
  forget_block();
  missing_.for_each_asked([&](std::size_t block, std::uint64_t offset) {
    reached(Probe::asked_again);
    encode_request(requests, block, offset);
  });
}

void FaultHandler::encode_request(Output& out, std::size_t block, std::uint64_t offset) {
  wire::PageRequest request{.start = offset,
                            .length = static_cast<std::uint32_t>(blocks_[block].host_page_size),
                            .block = std::nullopt};
  if (last_block_ != block) request.block = blocks_[block].name;
  last_block_ = block;
  wire::encode_return_message(out, request);
}

}  // namespace godwit::engine

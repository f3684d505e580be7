#include "engine/incoming/fault_handler.h"

#include <array>
#include <bitset>
#include <optional>
#include <utility>

#include "engine/probes.h"
#include "wire/return_path.h"

namespace godwit::engine {
namespace {

constexpr std::size_t kMostAtOnce = 16;

}  // namespace

FaultHandler::FaultHandler(std::span<const RamBlock> blocks, memory::PostcopyMemory& memory,
                           MissingPages& missing, Blocktime* blocktime, Clock& clock)
    : blocks_(blocks), memory_(memory), missing_(missing), blocktime_(blocktime), clock_(clock) {}

Result<std::size_t> FaultHandler::take(Output& requests) {
  std::array<memory::MissingPage, kMostAtOnce> room;
  GODWIT_ASSIGN(const auto faults, memory_.read_faults(room));
  // The kernel tells of them once. Whatever goes wrong behind this loop, they are asked for again.
  std::bitset<kMostAtOnce> to_ask;
  std::optional<Error> problem;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const memory::MissingPage& fault = faults[i];
    if (missing_.contains(fault.block, fault.offset)) {
      if (blocktime_) blocktime_->begin(fault.thread_id, fault.block, fault.offset, clock_.now());
      to_ask[i] = missing_.ask(fault.block, fault.offset);
    } else if (auto placed = memory_.place_zeros(fault.block, fault.offset); !placed) {
      // Nobody ever wrote there, or it has just been placed.
      problem = std::move(placed).error();
    }
  }
  for (std::size_t i = 0; i < faults.size(); ++i)
    if (to_ask[i]) encode_request(requests, faults[i].block, faults[i].offset);
  if (problem) return fail(*std::move(problem));
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

// Turns page faults of the guest into requests to the source (wire-format section 7.7).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <godwit/ram_block.h>
#include <godwit/stream.h>

#include "base/clock.h"
#include "engine/incoming/blocktime.h"
#include "engine/incoming/missing_pages.h"
#include "memory/postcopy_memory.h"

namespace godwit::engine {

/// One thread.
class FaultHandler {
 public:
  /// `blocktime` may be null.
  FaultHandler(std::span<const RamBlock> blocks, memory::PostcopyMemory& memory, MissingPages& missing,
               Blocktime* blocktime, Clock& clock);

  /// Takes the faults that are there, without waiting, and appends the requests that they make necessary. A
  /// page that was zeros before the guest came is placed at once. Returns how many faults there were.
  Result<std::size_t> take(Output& requests);

  /// The page is there.
  void placed(std::size_t block, std::uint64_t offset);

  /// A connection begins: everything that was asked for and has not come is asked for again.
  void ask_again(Output& requests);
  /// A connection begins: the next request names its block.
  void forget_block() { last_block_.reset(); }

 private:
  void encode_request(Output& out, std::size_t block, std::uint64_t offset);

  std::span<const RamBlock> blocks_;
  memory::PostcopyMemory& memory_;
  MissingPages& missing_;
  Blocktime* blocktime_;
  Clock& clock_;
  std::optional<std::size_t> last_block_;  ///< of the last request on this connection
};

}  // namespace godwit::engine

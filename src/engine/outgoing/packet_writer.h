// Where the pages of a packet of multifd go: to a connection, or to their places in a file.
#pragma once

#include <cstdint>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "wire/multifd.h"

namespace godwit::engine {

/// One for each channel. Its thread uses it; shutdown() is for any.
class PacketWriter {
 public:
  struct Written {
    std::uint64_t bytes = 0;
    bool copied =
        false;  ///< of synchronize(): zero copy was asked for, and bytes since the last one were copied
  };

  virtual ~PacketWriter() = default;

  /// Writes the pages that the packet names. The guest may write to them meanwhile: such a page is dirty
  /// again.
  virtual Result<Written> write(wire::MultifdPacket& packet, const RamBlock& block) = 0;
  /// Everything written so far is on its way before what other channels write from here on.
  virtual Result<Written> synchronize(std::uint64_t number) = 0;
  /// Fails if what was written cannot arrive any more, or nobody takes it. Asked after synchronize().
  virtual Result<> confirm() { return {}; }
  /// Ends every wait, for good.
  virtual void shutdown() noexcept = 0;
};

}  // namespace godwit::engine

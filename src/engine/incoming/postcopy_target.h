// What a stream that goes into postcopy asks of its destination, in the order of the methods.
#pragma once

#include <cstdint>
#include <vector>

#include <godwit/result.h>

#include "wire/command.h"

namespace godwit::engine {

/// Called by the stream loader on its thread. An error ends the loading.
class PostcopyTarget {
 public:
  virtual ~PostcopyTarget() = default;

  /// Pages may be missing later. Before the block list.
  virtual Result<> advise(const wire::PostcopyAdvise& advise) = 0;
  virtual bool advised() const = 0;
  virtual Result<> discard(const wire::PostcopyDiscard& discard) = 0;
  /// Somebody else reads the connection from here on, and serves the missing pages that the loading of
  /// devices touches. `ram_section` is the source's number for section "ram".
  virtual Result<> listen(std::uint32_t ram_section) = 0;
  /// Everything but pages is here: the guest may run.
  virtual Result<> run() = 0;
  virtual bool running() const = 0;
  /// The source has sent PING `value`, which is answered already. Sources introduce themselves this way.
  virtual void heard_ping(std::uint32_t value) = 0;
  /// The source is a Godwit: it waits for `package_arrived`.
  virtual bool source_is_godwit() const = 0;
};

}  // namespace godwit::engine

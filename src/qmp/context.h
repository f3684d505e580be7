// What a command's handler sees of the monitor it came in through.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <godwit/result.h>
#include <godwit/schema/types.h>

#include "base/system.h"
#include "qmp/descriptor_store.h"

namespace godwit::qmp {

/// How far a connection is (control-plane section 1.2).
enum class SessionMode : std::uint8_t { negotiation, command };

/// Lives as long as one command runs, on the thread that runs it. Used by that thread only.
class Context {
 public:
  using Capabilities = std::vector<schema::QMPCapability>;

  Context(std::shared_ptr<DescriptorStore> descriptors, SessionMode mode, Capabilities offered,
          bool out_of_band)
      : descriptors_(std::move(descriptors)),
        offered_(std::move(offered)),
        mode_(mode),
        out_of_band_(out_of_band) {}

  /// The descriptors the client has stored; outlives the call if the handler keeps the reference no longer.
  DescriptorStore& descriptors() { return *descriptors_; }

  /// True in a command sent with exec-oob: it runs on the monitor's thread, must be quick and must not wait
  /// for the main loop.
  bool out_of_band() const { return out_of_band_; }

  /// The descriptor that came with the request, or, if nobody took it, with an earlier one. Of several in one
  /// message the first counts; the others are closed. Error: `No file descriptor supplied via SCM_RIGHTS`.
  Result<UniqueFd> take_passed_descriptor();

  /// For qmp_capabilities.
  SessionMode mode() const { return mode_; }
  const Capabilities& offered() const { return offered_; }
  /// Ends the negotiation, if the command succeeds.
  void enable(Capabilities capabilities) { enabled_ = std::move(capabilities); }

 private:
  friend class Session;

  std::shared_ptr<DescriptorStore> descriptors_;
  std::vector<UniqueFd> passed_;
  Capabilities offered_;
  std::optional<Capabilities> enabled_;
  SessionMode mode_;
  bool out_of_band_;
};

}  // namespace godwit::qmp

// Who runs the guest, seen from above; and where the threads of both engines meet the one that drives a run.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/simulation/fault_plan.h"

namespace godwit::engine::simulation {

enum class Side : std::uint8_t { source, destination };

/// Thread-safe.
class World {
 public:
  // ---- the witness

  /// A guest begins to run on `host`; every host of a run has a number of its own.
  void runs(unsigned host);
  void stands(unsigned host);
  /// The guest on `host` writes its next epoch into its memory. One that another host wrote already means
  /// that the guest has two histories.
  void claims(unsigned host, std::uint64_t epoch);
  bool is_running(unsigned host) const;
  bool has_run(unsigned host) const;

  void violated(std::string what);
  std::vector<std::string> violations() const;

  // ---- the driver

  /// Something has changed that the driver may wait for.
  void changed();
  /// An engine's thread waits for what does not come by itself.
  void stuck();
  /// An engine's thread wants `fault` to happen now, at this byte, and waits until it has.
  void request(Fault fault);

  /// The driver: until something happens, at most `limit`. False: nothing did.
  bool wait(std::chrono::milliseconds limit);
  bool take_stuck();
  std::optional<Fault> next_request();
  void done();  ///< with the request
  /// Nobody drives any more: requests are dropped.
  void end();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<unsigned, bool> running_;
  std::map<std::uint64_t, unsigned> epochs_;
  std::vector<std::string> violations_;
  std::uint64_t changes_ = 0;
  std::uint64_t seen_ = 0;
  bool stuck_ = false;
  std::deque<Fault> requests_;
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
  bool ended_ = false;
};

}  // namespace godwit::engine::simulation

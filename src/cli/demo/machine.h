// One side of the demo: a VMM process with the witness guest (or waiting for it), its monitor, and its
// guest's memory.
#pragma once

#include <memory>
#include <string>

#include "cli/demo/options.h"
#include "cli/qmp_client.h"
#include "cli/qtest_client.h"
#include "cli/temporary_directory.h"
#include "cli/vmm_process.h"

namespace godwit::cli::demo {

/// Thread contract: one thread.
class Machine {
 public:
  /// Starts the VMM of that side and waits until its monitor answers. The destination waits for a guest; the
  /// source boots the boot sector in the file `image`. `directory` and `stop` must outlive the machine.
  static Result<std::unique_ptr<Machine>> start(Side side, const Options& options, const std::string& image,
                                                const TemporaryDirectory& directory, const StopRequest& stop);

  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  QmpClient& monitor() { return *monitor_; }
  GuestMemory& memory() { return *memory_; }
  VmmProcess& process() { return process_; }
  const std::string& program() const { return program_; }

  /// "source" or "destination".
  std::string_view name() const;

  /// Adds to an error of this machine's monitor or memory which side it is. If the VMM has ended, that is the
  /// cause: how, and with what last words.
  Error explain(Error error, std::string phase);

 private:
  Machine(Side side, std::string program, VmmProcess process)
      : side_(side), program_(std::move(program)), process_(std::move(process)) {}

  Side side_;
  std::string program_;
  VmmProcess process_;
  std::unique_ptr<QmpClient> monitor_;
  std::unique_ptr<QtestClient> memory_;
};

}  // namespace godwit::cli::demo

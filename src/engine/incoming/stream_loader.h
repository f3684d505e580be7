// Reads one migration stream into a guest (wire-format section 1). Knows no threads and no sockets: bytes
// come from an Input, answers leave through a function, so that tests and the fuzzer load from memory.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include <godwit/guest.h>
#include <godwit/migration.h>
#include <godwit/stream.h>

#include "engine/capabilities.h"
#include "engine/device_state.h"
#include "engine/incoming/postcopy_target.h"
#include "engine/incoming/ram_loader.h"
#include "wire/command.h"
#include "wire/return_path.h"

namespace godwit::engine {

class StreamLoader {
 public:
  /// Sends a message to the source. Unset where the transport cannot talk back.
  using Reply = std::function<Result<>(const wire::ReturnMessage&)>;

  /// `postcopy` may be null: then a stream that wants it is refused.
  StreamLoader(Guest& guest, const Capabilities& capabilities, const MigrationOptions& options, Reply reply,
               PostcopyTarget* postcopy = nullptr);

  /// Header to EOF, or to the end of the package that starts a postcopy. When it returns without error, RAM
  /// and devices hold the guest and it may run here, or runs. Errors name section, offset and expectation.
  Result<> load(Input& in);
  /// What follows EOF: the description, which is read so that the source does not see a reset, and has no
  /// effect.
  Result<> drain_description(Input& in);

  /// From globalstate; `running` when the source sent none.
  RunState run_state() const { return loaded_.run_state.value_or(RunState::running); }
  RamLoader& ram() { return ram_; }
  /// The source asked for answers and waits for the verdict.
  bool return_path_open() const { return return_path_open_; }

 private:
  Result<> load_configuration(Input& in);
  Result<bool> load_record(Input& in);
  Result<> load_section_start(Input& in);
  Result<> load_section_pages(Input& in);
  Result<> load_section_full(Input& in);
  /// False: the guest runs, and another reader has the rest of the stream.
  Result<bool> execute(const wire::Command& command, Input& in);
  Result<> ping(std::uint32_t value);
  Result<> load_package(std::uint32_t length, Input& in);
  Result<> footer(Input& in, std::uint32_t id);
  Result<> check_complete(const Input& in) const;

  Guest& guest_;
  const Capabilities capabilities_;
  const MigrationOptions options_;
  Reply reply_;
  RamLoader ram_;
  std::optional<std::uint32_t> ram_id_;  ///< the source's number for section "ram"
  LoadedState loaded_;
  PostcopyTarget* postcopy_;
  bool in_package_ = false;
  bool listens_ = false;
  std::optional<std::uint32_t> unanswered_ping_{};  ///< of the package
  bool return_path_open_ = false;
};

}  // namespace godwit::engine

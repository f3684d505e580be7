// Where the inspected bytes come from: a file, standard input, or an address on which a source connects.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <godwit/result.h>

#include "channel/channel.h"
#include "cli/wait.h"
#include "wire/description.h"

namespace godwit::cli::inspect {

struct Source {
  std::string name;
  std::unique_ptr<channel::Channel> channel;
  bool live = false;              ///< a source that waits for answers may be at the other end
  std::uint64_t file_offset = 0;  ///< where in the file the stream begins
  /// Read ahead from the end of a file. Unset if there is none, or the bytes come only once.
  std::optional<wire::StreamDescription> description;
};

/// `where` is a path, "-", or the URI of an incoming migration. On a socket it waits for the source to
/// connect.
Result<Source> open_source(const std::string& where, const StopRequest& stop);

/// Runs `body` on a thread of its own and waits for it. When `stop` is requested calls `interrupt`, which has
/// to end the body, and fails.
Result<> run_interruptible(const StopRequest& stop, const std::function<void()>& body,
                           const std::function<void()>& interrupt);

/// The description that ends the file; unset if the file does not end with one.
std::optional<wire::StreamDescription> description_at_end(int file);

}  // namespace godwit::cli::inspect

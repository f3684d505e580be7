// A channel to a shell command: exec:COMMAND.
#pragma once

#include <memory>
#include <string>

#include "channel/child_process.h"
#include "channel/pipe_channel.h"

namespace godwit::channel {

/// The stream is written to the command's standard input and read from its standard output.
class CommandChannel final : public PipeChannel {
 public:
  static Result<std::unique_ptr<Channel>> start(const std::string& command);

  CommandChannel(ChildProcess::Spawned spawned, std::string command);
  /// Gives a command whose stream is over half a second to end by itself.
  ~CommandChannel() override;

  Result<> write(std::span<const iovec> parts) override;
  Result<> finish_writing() override;

 private:
  ChildProcess child_;
  bool finished_ = false;
};

}  // namespace godwit::channel

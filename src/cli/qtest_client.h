// The other end of a VMM's -qtest connection (command-line section 4): guest memory, read and written from
// outside while the guest runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/guest_memory.h"
#include "cli/wait.h"

namespace godwit::cli {

/// Thread contract: one thread at a time. After an error the connection is of no more use.
class QtestClient final : public GuestMemory {
 public:
  /// Over a socket that the VMM has connected. `stop` must live as long as the client.
  QtestClient(UniqueFd socket, const StopRequest& stop) : socket_(std::move(socket)), stop_(&stop) {}

  Result<> read(std::uint64_t address, std::span<std::byte> bytes) override;
  Result<> write(std::uint64_t address, std::span<const std::byte> bytes) override;

  /// How long one request may take; 30 s at first.
  void set_timeout(Milliseconds timeout) { timeout_ = timeout; }

 private:
  /// Sends one line; what follows "OK " in the answer, valid until the next request.
  Result<std::string_view> request(const std::string& line);

  UniqueFd socket_;
  const StopRequest* stop_;
  Milliseconds timeout_{30'000};
  std::vector<char> answer_ = std::vector<char>(4096);
};

}  // namespace godwit::cli

// What the demo is asked to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <godwit/result.h>

#include "cli/demo/witness_guest.h"

namespace godwit::cli::demo {

/// How the guest travels.
enum class Transport : std::uint8_t { tcp, unix_socket, fd, exec, file };

/// "tcp", "unix", ...
std::string_view to_string(Transport transport);

enum class Accelerator : std::uint8_t { kvm, tcg };

std::string_view to_string(Accelerator accelerator);

/// KVM if this process may use it.
Accelerator usable_accelerator();

struct Options {
  Accelerator accelerator = Accelerator::kvm;
  Transport transport = Transport::tcp;
  std::uint64_t ram_bytes = 0;             ///< 0: what suits the accelerator
  std::uint64_t hot_bytes = 0;             ///< rewritten for ever; 0: what suits the RAM
  std::uint64_t dirty_rate = 0;            ///< bytes per second to rewrite; 0: as fast as the guest can
  std::optional<std::uint64_t> bandwidth;  ///< bytes per second to send at most; 0: no limit
  std::uint64_t downtime_limit_ms = 300;
  std::chrono::milliseconds time_limit{30'000};  ///< for the move; after it the move is given up
  std::string source_vmm;                        ///< path or name of a program
  std::string destination_vmm;
  std::string cpu_model;  ///< empty: the VMM's default
  bool json = false;
};

/// Puts in what suits where the options leave it open, and checks that the whole makes sense on this host.
Result<Options> complete(Options options);

/// How much of the RAM the guest fills, and how much of that it rewrites. `tick_rate` is the rate of its
/// clock.
WitnessParameters witness_parameters(const Options& options, double tick_rate);

}  // namespace godwit::cli::demo

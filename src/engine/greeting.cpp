#include "engine/greeting.h"

#include <random>

#include "wire/command.h"

namespace godwit::engine {

std::uint32_t random_token() {
  std::random_device device;
  return device() | 0x80000000u;  // small values are used by other pings, the named ones have this bit clear
}

void encode_greeting(Output& out, std::uint32_t token) {
  wire::encode_command(out, wire::Ping{hello});
  wire::encode_command(out, wire::Ping{token});
}

}  // namespace godwit::engine

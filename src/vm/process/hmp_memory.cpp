// xp: guest-physical memory in numbers or characters.
#include <algorithm>
#include <array>

#include "base/fail.h"
#include "vm/process/hmp.h"

namespace godwit::vm {

namespace {

std::string character(std::uint8_t c) {
  if (c == '\'' || c == '\\') return fmt::format("'\\{}'", static_cast<char>(c));
  if (c == '\n') return "'\\n'";
  if (c == '\r') return "'\\r'";
  if (c >= 32 && c <= 126) return fmt::format("'{}'", static_cast<char>(c));
  return fmt::format("'\\x{:02x}'", c);
}

/// As wide as the largest number of this size.
std::string number(std::uint64_t value, char letter, unsigned size) {
  const unsigned bits = 8 * size;
  switch (letter) {
    case 'o':
      return fmt::format("{:>{}}", value == 0 ? "0" : fmt::format("0{:o}", value), (bits + 2) / 3);
    case 'x':
      return fmt::format("0x{:0{}x}", value, bits / 4);
    case 'd':
      return fmt::format("{:>{}}", static_cast<std::int64_t>(value), (bits * 10 + 32) / 33);
    default:
      return fmt::format("{:>{}}", value, (bits * 10 + 32) / 33);
  }
}

bool is_ram(const Machine& machine, std::uint64_t address, std::uint64_t length) {
  return std::ranges::any_of(machine.ram_blocks(), [&](const RamBlock& block) {
    return address >= block.guest_address && address - block.guest_address < block.size &&
           length <= block.size - (address - block.guest_address);
  });
}

Result<> dump(HumanCall& call) {
  const DumpFormat& format = call.arguments.format;
  if (format.letter == 'i') return fail("there is no disassembler: the formats are o, x, d, u and c");
  const std::size_t line = format.size == 1 ? 8 : 16;
  const unsigned size = format.letter == 'c' ? 1 : format.size;
  std::uint64_t address = call.arguments.numbers[0];
  for (std::uint64_t left = format.size * format.count; left > 0;) {
    call.print("{:016x}:", address);
    std::array<std::byte, 16> bytes;
    const std::size_t length = std::min<std::uint64_t>(left, line);
    if (!is_ram(call.services.machine, address, length)) {
      call.print(" Cannot access memory\n");
      return {};
    }
    call.services.machine.read_memory(address, std::span(bytes).first(length));
    for (std::size_t at = 0; at < length; at += size) {
      std::uint64_t value = 0;
      for (unsigned i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
      call.print(" {}", format.letter == 'c' ? character(static_cast<std::uint8_t>(value))
                                             : number(value, format.letter, size));
    }
    call.print("\n");
    address += length;
    left -= length;
  }
  return {};
}

constexpr HumanCommand group[] = {
    {"xp", "/ l", "/fmt addr", "physical memory dump starting at 'addr'", dump},
};

}  // namespace

std::span<const HumanCommand> human_memory_commands() {
  return group;
}

}  // namespace godwit::vm

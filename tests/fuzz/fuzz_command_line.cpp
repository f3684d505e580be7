// The command line of the VMM, a word per line. What is accepted is a machine that can be built.
#include <vector>

#include <godwit/ram_block.h>

#include "fuzz.h"
#include "vm/process/command_line.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> words;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    words.emplace_back(word);
  }
  const auto parsed = vm::parse_command_line(words);
  if (!parsed) {
    fuzz::expect(!parsed.error().what().empty(), "an error has a text");
    return 0;
  }
  if (parsed->answer) {
    fuzz::expect(!parsed->answer->empty(), "an answer has a text");
    return 0;
  }
  const vm::MachineConfig& machine = parsed->machine;
  fuzz::expect(!machine.machine_name.empty(), "a machine has a name");
  fuzz::expect(machine.vcpus > 0 || machine.kind == vm::MachineKind::none, "a machine has a processor");
  if (machine.memory) fuzz::expect(machine.memory->size % page_size == 0, "memory is whole pages");
  return 0;
}

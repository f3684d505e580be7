#include "vm/machine.h"

#include <utility>

#include "vm/virtual_machine.h"

namespace godwit::vm {

Result<std::unique_ptr<Machine>> Machine::create(MachineConfig config, MachineObserver& observer) {
  auto machine = std::make_unique<VirtualMachine>(std::move(config), observer);
  GODWIT_TRY(machine->build());
  return machine;
}

}  // namespace godwit::vm

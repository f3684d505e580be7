#include "vm/accel/accelerator.h"

#include "base/fail.h"
#include "vm/accel/interrupt_chips.h"

namespace godwit::vm {

Result<std::unique_ptr<InterruptChips>> Accelerator::create_chips(const ChipOptions&) {
  return fail("the accelerator '{}' has no interrupt controllers, which this machine needs", name());
}

}  // namespace godwit::vm

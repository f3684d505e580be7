// The `cpu_common` and `cpu` sections of a vCPU.
#pragma once

#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

#include "vm/accel/cpu_state.h"

namespace godwit::vm {

const FieldTable<CpuState>& cpu_common_table();  ///< version 1
const FieldTable<CpuState>& cpu_table();         ///< version 12

}  // namespace godwit::vm

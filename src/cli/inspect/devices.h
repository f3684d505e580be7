// Gives the devices of a stream their fields.
#pragma once

#include "cli/inspect/model.h"

namespace godwit::cli::inspect {

/// Splits the data of each device by the stream's description, or by what is known of sections that every
/// stream has. Remarks on devices and descriptions that do not fit each other.
void name_fields(Inspection& found);

}  // namespace godwit::cli::inspect

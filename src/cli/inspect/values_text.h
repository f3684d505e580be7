// Values of device fields, and places in a stream, as text.
#pragma once

#include <span>
#include <string>

#include "wire/field_value.h"

namespace godwit::cli::inspect {

/// Short: at most some 70 columns. Numbers from 4096 on are hexadecimal.
std::string value_text(const wire::NamedField& field, const wire::FieldValue& value);

/// "0badcafe", all of it.
std::string hex_text(std::span<const std::byte> bytes);

/// What is printable as it is, the rest as \xNN: names in a stream are somebody else's.
std::string safe_text(std::string_view text);

/// "12345678-9abc-def0-1122-334455667788".
std::string uuid_text(std::span<const std::uint8_t, 16> uuid);

}  // namespace godwit::cli::inspect

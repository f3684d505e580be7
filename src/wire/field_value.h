// The values of fields that only a description tells about, and descriptions of the sections that streams
// without one have.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "wire/description.h"

namespace godwit::wire {

/// By the type that the description names: truth values, numbers, arrays of numbers; bytes for the rest.
/// Bytes point into the body.
using FieldValue = std::variant<bool, std::uint64_t, std::int64_t, std::vector<std::uint64_t>,
                                std::vector<std::int64_t>, std::span<const std::byte>>;

/// `field` is one of split_section() of `body`.
FieldValue decode_field(const NamedField& field, std::span<const std::byte> body);

/// True of numbers that are 0, false, and bytes that are all 0.
bool is_zero(const FieldValue& value);

/// The layout of a section that every stream has and no machine changes ("timer", "globalstate"); null for
/// others.
const StateDescription* known_state(std::string_view name, std::uint32_t version);

}  // namespace godwit::wire

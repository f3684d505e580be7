// The objects memory-backend-ram, -memfd and -file: their types, rules and texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <godwit/result.h>
#include <godwit/schema/types.h>

#include "vm/machine_config.h"

namespace godwit::vm {

inline constexpr std::uint64_t default_huge_page_size = std::uint64_t{2} << 20;  ///< bytes

/// Unset: not a memory backend.
std::optional<MemoryBackend::Kind> memory_kind(schema::ObjectType type);
schema::ObjectType object_type(MemoryBackend::Kind kind);

/// What `share` is if nobody says: memory behind a memfd is shared.
inline bool shared_by_default(MemoryBackend::Kind kind) {
  return kind == MemoryBackend::Kind::memfd;
}

/// The rules that do not need the memory itself.
Result<> check_memory_backend(const MemoryBackend& backend);

}  // namespace godwit::vm

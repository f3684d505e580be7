// The types of objects, for qom-list-types.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <godwit/schema/types.h>

namespace godwit::vm {

/// Those that are `ancestor` or derived from it (unset: all). Abstract ones only if asked for.
std::vector<schema::ObjectTypeInfo> object_types(const std::optional<std::string>& ancestor,
                                                 bool with_abstract);

}  // namespace godwit::vm

#include "cli/inspect/testing.h"

#include "cli/inspect/values_text.h"

namespace godwit::cli::inspect::testing {

std::string field_of(const Inspection& found, std::string_view device, std::string_view path) {
  for (const Device& candidate : found.devices)
    if (candidate.section.name == device)
      for (const auto& field : candidate.fields)
        if (field.path == path) return value_text(field, wire::decode_field(field, candidate.body));
  return "no such field";
}

}  // namespace godwit::cli::inspect::testing

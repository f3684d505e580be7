// What the tests of the inspector share.
#pragma once

#include <string>
#include <string_view>

#include "cli/inspect/read.h"
#include "wire/test_stream.h"

namespace godwit::cli::inspect::testing {

inline Inspection inspect_bytes(std::span<const std::byte> bytes, const CollectorOptions& options = {}) {
  SpanInput in(bytes);
  Inspection found = read_stream(in, options, 0);
  found.name = "stream";
  return found;
}

inline Inspection inspect_golden(std::string_view name, const CollectorOptions& options = {}) {
  return inspect_bytes(wire::test::golden(name), options);
}

/// The value of a field as people see it; what is wrong if it is not there.
std::string field_of(const Inspection& found, std::string_view device, std::string_view path);

}  // namespace godwit::cli::inspect::testing

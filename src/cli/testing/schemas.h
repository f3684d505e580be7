// Schemas to test against: QEMU 7.2's as it answers, and our own.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include <godwit/schema/introspection.h>

#include "cli/qmp/schema_index.h"

namespace godwit::cli::qmp {

inline const SchemaIndex& qemu_schema() {
  static const auto index = [] {
    std::ifstream file(GODWIT_TEST_DATA "/qmp/qemu-7.2-schema.json");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    return SchemaIndex::build(boost::json::parse(text));
  }();
  if (!index) throw std::runtime_error(index.error().what());
  return *index;
}

inline const SchemaIndex& own_schema() {
  static const auto index = SchemaIndex::build(boost::json::value(schema::qmp_schema()));
  if (!index) throw std::runtime_error(index.error().what());
  return *index;
}

}  // namespace godwit::cli::qmp

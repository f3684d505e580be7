// -object
#include <boost/json.hpp>

#include "base/fail.h"
#include "vm/process/memory_object.h"
#include "vm/process/option_handlers.h"
#include "vm/process/option_values.h"

namespace godwit::vm::options {

namespace {

/// -object takes JSON too: {"qom-type": TYPE, "id": ID, ...}.
Result<OptionValues> read_object(const std::string& argument) {
  if (!argument.starts_with('{')) return OptionValues::parse(argument, "qom-type");
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(argument, error);
  if (error || !json.is_object())
    return fail("JSON parse error: {}", error ? error.message() : "not an object");
  OptionValues values;
  for (const auto& [key, value] : json.as_object()) {
    std::string text;
    if (value.is_string())
      text = value.as_string();
    else if (value.is_bool())
      text = value.as_bool() ? "on" : "off";
    else
      text = boost::json::serialize(value);
    values.set_default(std::string(key), std::move(text));
  }
  return values;
}

Result<MemoryBackend> memory_backend(MemoryBackend::Kind kind, std::string id, OptionValues& values) {
  MemoryBackend backend;
  backend.kind = kind;
  backend.id = std::move(id);
  backend.share = shared_by_default(kind);
  GODWIT_ASSIGN(const auto size, values.take_size("size"));
  if (!size) return fail("Parameter 'size' is missing");
  backend.size = *size;
  if (kind == MemoryBackend::Kind::file) {
    GODWIT_ASSIGN(backend.path, values.require("mem-path"));
    GODWIT_ASSIGN(const auto read_only, values.take_flag("readonly"));
    if (read_only.value_or(false)) return fail("read-only memory (readonly=on) is not built yet");
    values.ignore({"align", "discard-data", "pmem"});
  }
  if (kind == MemoryBackend::Kind::memfd) {
    GODWIT_ASSIGN(const auto huge, values.take_flag("hugetlb"));
    GODWIT_ASSIGN(const auto huge_size, values.take_size("hugetlbsize"));
    if (huge.value_or(false)) backend.huge_page_size = huge_size.value_or(default_huge_page_size);
    values.ignore({"seal"});
  }
  GODWIT_ASSIGN(const auto share, values.take_flag("share"));
  backend.share = share.value_or(backend.share);
  GODWIT_ASSIGN(const auto prealloc, values.take_flag("prealloc"));
  backend.prealloc = prealloc.value_or(false);
  values.ignore({"dump", "host-nodes", "merge", "policy", "prealloc-threads", "prealloc-context", "reserve",
                 "x-use-canonical-path-for-ramblock-id"});
  GODWIT_TRY(values.finish());
  GODWIT_TRY(check_memory_backend(backend));
  return backend;
}

}  // namespace

Result<> object(Draft& draft, const std::string& argument) {
  GODWIT_ASSIGN(OptionValues values, read_object(argument));
  GODWIT_ASSIGN(const std::string type, values.require("qom-type"));
  if (type == "help" || type == "?") {
    draft.result.answer =
        "List of user creatable objects:\n  memory-backend-file\n  memory-backend-memfd\n"
        "  memory-backend-ram\n";
    return {};
  }
  const auto known = schema::from_string<schema::ObjectType>(type);
  if (!known) return fail("Parameter 'qom-type' does not accept value '{}'", type);
  const auto kind = memory_kind(*known);
  if (!kind) return fail("objects of type '{}' are not built yet", type);
  GODWIT_ASSIGN(std::string id, values.require("id"));
  if (!is_identifier(id)) return fail("Parameter 'id' expects an identifier");
  auto& backends = draft.result.process.memory_backends;
  for (const MemoryBackend& other : backends)
    if (other.id == id)
      return fail("attempt to add duplicate property '{}' to object (type 'container')", id);
  GODWIT_ASSIGN(auto backend, memory_backend(*kind, std::move(id), values));
  backends.push_back(std::move(backend));
  return {};
}

}  // namespace godwit::vm::options

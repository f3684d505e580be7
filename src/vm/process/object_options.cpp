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
  GODWIT_ASSIGN(const auto dump, values.take_flag("dump"));
  backend.dump = dump.value_or(false);
  values.ignore({"host-nodes", "merge", "policy", "prealloc-threads", "prealloc-context", "reserve",
                 "x-use-canonical-path-for-ramblock-id"});
  GODWIT_TRY(values.finish());
  GODWIT_TRY(check_memory_backend(backend));
  return backend;
}

/// "rules.0.match" and its like: the path into the object, then the value.
Result<> put(boost::json::object& into, std::string_view key, boost::json::value value) {
  const std::size_t dot = key.find('.');
  if (dot == std::string_view::npos) {
    into[key] = std::move(value);
    return {};
  }
  const std::string_view list = key.substr(0, dot);
  const std::string_view rest = key.substr(dot + 1);
  const std::size_t second = rest.find('.');
  GODWIT_ASSIGN(const std::uint64_t index, parse_number(key, rest.substr(0, second)));
  boost::json::value& place = into[list];
  if (place.is_null()) place.emplace_array();
  boost::json::array& array = place.as_array();
  if (index > array.size()) return fail("Parameter '{}.{}' is missing", list, array.size());
  if (second == std::string_view::npos)
    return fail("Parameter '{}' expects members, as in '{}.match'", key, key);
  if (index == array.size()) array.emplace_back(boost::json::object());
  return put(array[index].as_object(), rest.substr(second + 1), std::move(value));
}

/// The rest of the options as object-add takes them.
Result<boost::json::object> as_json(std::string_view type, const std::string& id, OptionValues& values) {
  boost::json::object json{{"qom-type", type}, {"id", id}};
  for (const std::string_view flag : {"verify-peer", "sanity-check", "loaded"}) {
    GODWIT_ASSIGN(const auto value, values.take_flag(flag));
    if (value) json[flag] = *value;
  }
  for (const std::string& key : values.remaining())
    if (const auto value = values.take(key)) GODWIT_TRY(put(json, key, boost::json::string(*value)));
  return json;
}

bool is_security_object(schema::ObjectType type) {
  using enum schema::ObjectType;
  return type == tls_creds_anon || type == tls_creds_psk || type == tls_creds_x509 || type == authz_simple ||
         type == authz_list;
}

}  // namespace

Result<> object(Draft& draft, const std::string& argument) {
  GODWIT_ASSIGN(OptionValues values, read_object(argument));
  GODWIT_ASSIGN(const std::string type, values.require("qom-type"));
  if (type == "help" || type == "?") {
    draft.result.answer =
        "List of user creatable objects:\n  authz-list\n  authz-simple\n  memory-backend-file\n"
        "  memory-backend-memfd\n  memory-backend-ram\n  tls-creds-anon\n  tls-creds-psk\n  tls-creds-x509\n";
    return {};
  }
  const auto known = schema::from_string<schema::ObjectType>(type);
  if (!known) return fail("Parameter 'qom-type' does not accept value '{}'", type);
  const auto kind = memory_kind(*known);
  if (!kind && !is_security_object(*known)) return fail("objects of type '{}' are not built yet", type);
  GODWIT_ASSIGN(std::string id, values.require("id"));
  if (!is_identifier(id)) return fail("Parameter 'id' expects an identifier");
  if (!kind) {
    GODWIT_ASSIGN(auto json, as_json(type, id, values));
    draft.result.process.objects.push_back(std::move(json));
    return {};
  }
  auto& backends = draft.result.process.memory_backends;
  for (const MemoryBackend& other : backends)
    if (other.id == id)
      return fail("attempt to add duplicate property '{}' to object (type 'container')", id);
  GODWIT_ASSIGN(auto backend, memory_backend(*kind, std::move(id), values));
  backends.push_back(std::move(backend));
  return {};
}

}  // namespace godwit::vm::options

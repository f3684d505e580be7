#include "vm/process/object_store.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <utility>

#include "base/fail.h"
#include "vm/process/memory_object.h"
#include "vm/process/option_values.h"

namespace godwit::vm {

namespace {

boost::json::string json_text(std::string_view text) {
  return boost::json::string(text.data(), text.size());
}

template <typename Properties>
MemoryBackend backend_of(MemoryBackend::Kind kind, std::string id, const Properties& properties) {
  MemoryBackend backend;
  backend.kind = kind;
  backend.id = std::move(id);
  backend.size = properties.size;
  backend.share = properties.share.value_or(shared_by_default(kind));
  backend.prealloc = properties.prealloc.value_or(false);
  if constexpr (requires { properties.mem_path; }) backend.path = properties.mem_path;
  if constexpr (requires { properties.hugetlb; })
    if (properties.hugetlb.value_or(false))
      backend.huge_page_size = properties.hugetlbsize.value_or(default_huge_page_size);
  return backend;
}

/// Unset: not a memory backend.
Result<std::optional<MemoryBackend>> read_memory_backend(const schema::ObjectOptions& options) {
  using Kind = MemoryBackend::Kind;
  if (const auto* file = std::get_if<schema::MemoryBackendFileProperties>(&options.u)) {
    if (file->readonly.value_or(false)) return fail("read-only memory (readonly=on) is not built yet");
    return backend_of(Kind::file, options.id, *file);
  }
  if (const auto* memfd = std::get_if<schema::MemoryBackendMemfdProperties>(&options.u))
    return backend_of(Kind::memfd, options.id, *memfd);
  if (const auto* ram = std::get_if<schema::MemoryBackendProperties>(&options.u))
    return backend_of(Kind::anonymous, options.id, *ram);
  return std::nullopt;
}

memory::RamOptions ram_options(const MemoryBackend& backend) {
  using Kind = MemoryBackend::Kind;
  memory::RamOptions options;
  options.source = backend.kind == Kind::file    ? memory::RamSource::file
                   : backend.kind == Kind::memfd ? memory::RamSource::memfd
                                                 : memory::RamSource::anonymous;
  options.size = (backend.size + page_size - 1) / page_size * page_size;
  options.shared = backend.share;
  options.path = backend.path;
  options.huge_page_size = backend.huge_page_size;
  options.prealloc = backend.prealloc;
  return options;
}

/// In the words that clients know, where there are such.
std::unexpected<Error> cannot_make(const MemoryBackend& backend, Error cause) {
  if (backend.kind != MemoryBackend::Kind::file)
    return std::unexpected(std::move(cause).in(fmt::format("cannot set up guest memory '{}'", backend.id)));
  const UniqueFd probe(::open(backend.path.c_str(), O_RDWR | O_CLOEXEC));
  if (probe || errno == EISDIR) return std::unexpected(std::move(cause));
  return system_error(fmt::format("can't open backing store {} for guest RAM", backend.path), errno);
}

using Credentials = std::shared_ptr<const TlsCredentials>;
using Rules = std::shared_ptr<const Authorization>;

}  // namespace

void ObjectStore::adopt_machine_memory(const MemoryBackend& backend) {
  const std::lock_guard lock(mutex_);
  machine_memory_ = backend.id;
  objects_.emplace(backend.id, Object{object_type(backend.kind), Memory{backend, std::nullopt}});
}

Result<> ObjectStore::refuse_duplicate(std::string_view id) const {
  if (objects_.contains(id))
    return fail("attempt to add duplicate property '{}' to object (type 'container')", id);
  return {};
}

Result<> ObjectStore::add_memory(const MemoryBackend& backend) {
  GODWIT_TRY(check_memory_backend(backend));
  const std::lock_guard lock(mutex_);
  GODWIT_TRY(refuse_duplicate(backend.id));
  auto memory = memory::GuestRam::create(ram_options(backend));
  if (!memory) return cannot_make(backend, std::move(memory).error());
  objects_.emplace(backend.id, Object{object_type(backend.kind), Memory{backend, *std::move(memory)}});
  return {};
}

Result<> ObjectStore::add(const boost::json::object& json) {
  GODWIT_ASSIGN(const auto options, schema::from_json<schema::ObjectOptions>(json));
  if (!is_identifier(options.id)) return fail("Parameter 'id' expects an identifier");
  GODWIT_ASSIGN(const auto backend, read_memory_backend(options));
  if (backend) return add_memory(*backend);
  const std::lock_guard lock(mutex_);
  GODWIT_TRY(refuse_duplicate(options.id));
  GODWIT_ASSIGN(auto security, load_security_object(options));
  if (std::holds_alternative<std::monostate>(security))
    return fail("objects of type '{}' are not built yet", to_string(options.qom_type()));
  objects_.emplace(options.id, Object{options.qom_type(), std::move(security)});
  return {};
}

Result<> ObjectStore::remove(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(id);
  if (found == objects_.end()) return fail("object '{}' not found", id);
  if (id == machine_memory_) return fail("object '{}' is in use, can not be deleted", id);
  objects_.erase(found);
  return {};
}

std::vector<ObjectStore::Property> ObjectStore::properties_of(const Object& object) {
  if (const auto* memory = std::get_if<Memory>(&object.value)) {
    const MemoryBackend& backend = memory->backend;
    std::vector<Property> properties{{"size", "int", backend.size},
                                     {"share", "bool", backend.share},
                                     {"prealloc", "bool", backend.prealloc}};
    if (backend.kind == MemoryBackend::Kind::file)
      properties.push_back({"mem-path", "string", json_text(backend.path)});
    if (backend.kind == MemoryBackend::Kind::memfd) {
      properties.push_back({"hugetlb", "bool", backend.huge_page_size != 0});
      properties.push_back({"hugetlbsize", "int", backend.huge_page_size});
    }
    return properties;
  }
  const auto& security = std::get<SecurityObject>(object.value);
  const auto* credentials = std::get_if<Credentials>(&security);
  if (!credentials) return {};
  const TlsCredentialsOptions& options = options_of(**credentials);
  return {{"dir", "string", json_text(options.directory)},
          {"endpoint", "QCryptoTLSCredsEndpoint",
           json_text(options.endpoint == TlsEndpoint::server ? "server" : "client")},
          {"priority", "string", json_text(options.priority)},
          {"verify-peer", "bool", options.verify_peer}};
}

Result<ObjectStore::Node> ObjectStore::find(std::string_view path) const {
  std::string_view rest = path;
  while (rest.size() > 1 && rest.ends_with('/')) rest.remove_suffix(1);
  if (rest == "/") {
    return Node{"container",
                {{"objects", "child<container>", "/objects"},
                 {"machine", "child<" + machine_name_ + "-machine>", "/machine"}}};
  }
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest == "objects") {
    Node node{"container", {}};
    for (const auto& [id, object] : objects_)
      node.properties.push_back(
          {id, fmt::format("child<{}>", to_string(object.type)), json_text("/objects/" + id)});
    return node;
  }
  if (rest == "machine") {
    const std::string memory = machine_memory_.empty() ? "" : "/objects/" + machine_memory_;
    return Node{machine_name_ + "-machine", {{"memory-backend", "link<memory-backend>", json_text(memory)}}};
  }
  std::string_view id = rest;
  if (id.starts_with("objects/"))
    id.remove_prefix(8);
  else if (path.starts_with('/'))
    id = {};
  if (const auto found = objects_.find(id); found != objects_.end())
    return Node{std::string(to_string(found->second.type)), properties_of(found->second), &found->second};
  return fail(Error(fmt::format("Device '{}' not found", path)).with_class(ErrorClass::device_not_found));
}

Result<std::vector<schema::ObjectPropertyInfo>> ObjectStore::list(std::string_view path) const {
  const std::lock_guard lock(mutex_);
  GODWIT_ASSIGN(const Node node, find(path));
  std::vector<schema::ObjectPropertyInfo> properties{{"type", "string", {}, {}}};
  for (const Property& property : node.properties)
    properties.push_back({property.name, property.type, {}, {}});
  return properties;
}

Result<boost::json::value> ObjectStore::get(std::string_view path, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  GODWIT_ASSIGN(const Node node, find(path));
  if (name == "type") return boost::json::value(json_text(node.type));
  const auto property = std::ranges::find(node.properties, name, &Property::name);
  if (property == node.properties.end()) return fail("Property '{}.{}' not found", node.type, name);
  return property->value;
}

Result<> ObjectStore::set(std::string_view path, std::string_view name, const boost::json::value&) {
  const std::lock_guard lock(mutex_);
  GODWIT_ASSIGN(const Node node, find(path));
  const auto property = std::ranges::find(node.properties, name, &Property::name);
  if (name != "type" && property == node.properties.end())
    return fail("Property '{}.{}' not found", node.type, name);
  // Memory keeps the shape it was made with.
  if (node.object && name == "size") return fail("cannot change property size of {} ", node.type);
  if (node.object && name != "type") return fail("cannot change property value");
  return fail("Property '{}.{}' is not writable", node.type, name);
}

Result<std::shared_ptr<const TlsCredentials>> ObjectStore::credentials(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(id);
  if (found == objects_.end()) return fail("No TLS credentials with id '{}'", id);
  const auto* security = std::get_if<SecurityObject>(&found->second.value);
  const auto* credentials = security ? std::get_if<Credentials>(security) : nullptr;
  if (!credentials) return fail("Object with id '{}' is not TLS credentials", id);
  return *credentials;
}

Result<std::shared_ptr<const Authorization>> ObjectStore::authorization(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(id);
  if (found == objects_.end()) return fail("No authorization with id '{}'", id);
  const auto* security = std::get_if<SecurityObject>(&found->second.value);
  const auto* rules = security ? std::get_if<Rules>(security) : nullptr;
  if (!rules) return fail("Object with id '{}' is not an authorization", id);
  return *rules;
}

}  // namespace godwit::vm

// The objects that -object and object-add make, and how qom-list, qom-get and qom-set show them.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <godwit/result.h>
#include <godwit/schema/commands.h>
#include <godwit/tls.h>

#include "memory/ram.h"
#include "vm/machine_config.h"
#include "vm/process/security_objects.h"

namespace godwit::vm {

/// Thread-safe: the engine looks TLS objects up on other threads than the one that makes them.
class ObjectStore final : public TlsObjects {
 public:
  /// `machine_name` is the resolved name: the machine is the object /machine.
  explicit ObjectStore(std::string machine_name) : machine_name_(std::move(machine_name)) {}

  /// Puts a memory backend in that the machine uses as its RAM, and owns.
  void adopt_machine_memory(const MemoryBackend& backend);
  /// Makes the memory of a backend that the machine does not use.
  Result<> add_memory(const MemoryBackend& backend);

  /// object-add. `options` as in the command.
  Result<> add(const boost::json::object& options);
  /// object-del
  Result<> remove(std::string_view id);

  /// Paths are absolute, or partial where only one object can be meant.
  Result<std::vector<schema::ObjectPropertyInfo>> list(std::string_view path) const;
  Result<boost::json::value> get(std::string_view path, std::string_view property) const;
  Result<> set(std::string_view path, std::string_view property, const boost::json::value& value);

  // TlsObjects. What a connection took stays valid for it when the object is removed.
  Result<std::shared_ptr<const TlsCredentials>> credentials(std::string_view id) const override;
  Result<std::shared_ptr<const Authorization>> authorization(std::string_view id) const override;

 private:
  struct Memory {
    MemoryBackend backend;
    std::optional<memory::GuestRam> ram;  // unset: the machine owns it
  };
  struct Object {
    schema::ObjectType type;
    std::variant<Memory, SecurityObject> value;
  };
  struct Property {
    std::string name;
    std::string type;
    boost::json::value value;
  };
  /// A place in the tree, its properties in order; `type` always is the first.
  struct Node {
    std::string type;
    std::vector<Property> properties;
    const Object* object = nullptr;
  };

  static std::vector<Property> properties_of(const Object& object);
  // With mutex_ held.
  Result<Node> find(std::string_view path) const;
  Result<> refuse_duplicate(std::string_view id) const;

  const std::string machine_name_;
  mutable std::mutex mutex_;    // guards what follows
  std::string machine_memory_;  // id; empty: none of the objects
  std::map<std::string, Object, std::less<>> objects_;
};

}  // namespace godwit::vm

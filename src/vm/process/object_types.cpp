#include "vm/process/object_types.h"

#include <algorithm>

#include "vm/process/machine_types.h"

namespace godwit::vm {

namespace {

struct Type {
  std::string name;
  std::string parent;  // empty: the root
  bool abstract = false;
};

std::vector<Type> all_types() {
  std::vector<Type> types{
      {"object", ""},
      {"container", "object"},
      {"accel", "object"},
      {"kvm-accel", "accel"},
#ifdef GODWIT_UNICORN
      {"tcg-accel", "accel"},
#endif
      {"qtest-accel", "accel"},
      {"memory-backend", "object", true},
      {"memory-backend-file", "memory-backend"},
      {"memory-backend-memfd", "memory-backend"},
      {"memory-backend-ram", "memory-backend"},
      {"tls-creds", "object", true},
      {"tls-creds-anon", "tls-creds"},
      {"tls-creds-psk", "tls-creds"},
      {"tls-creds-x509", "tls-creds"},
      {"authz", "object", true},
      {"authz-list", "authz"},
      {"authz-simple", "authz"},
      {"device", "object", true},
      {"ide-hd", "device"},
      {"isa-serial", "device"},
      {"machine", "object", true},
  };
  for (const MachineType& machine : machine_types())
    types.push_back({std::string(machine.name) + "-machine", "machine"});
  return types;
}

bool is_or_descends_from(const std::vector<Type>& types, const Type& type, std::string_view ancestor) {
  if (type.name == ancestor) return true;
  const auto parent = std::ranges::find(types, type.parent, &Type::name);
  return parent != types.end() && is_or_descends_from(types, *parent, ancestor);
}

}  // namespace

std::vector<schema::ObjectTypeInfo> object_types(const std::optional<std::string>& ancestor,
                                                 bool with_abstract) {
  const std::vector<Type> types = all_types();
  std::vector<schema::ObjectTypeInfo> list;
  for (const Type& type : types) {
    if (type.abstract && !with_abstract) continue;
    if (ancestor && !is_or_descends_from(types, type, *ancestor)) continue;
    schema::ObjectTypeInfo info;
    info.name = type.name;
    if (type.abstract) info.abstract = true;
    if (!type.parent.empty()) info.parent = type.parent;
    list.push_back(std::move(info));
  }
  return list;
}

}  // namespace godwit::vm

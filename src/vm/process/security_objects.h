// The objects tls-creds-anon, -psk, -x509, authz-simple and authz-list: from their properties to what they
// stand for.
#pragma once

#include <memory>
#include <variant>

#include <godwit/result.h>
#include <godwit/schema/types.h>
#include <godwit/tls.h>

namespace godwit::vm {

/// monostate: `options` describe something else.
using SecurityObject =
    std::variant<std::monostate, std::shared_ptr<const TlsCredentials>, std::shared_ptr<const Authorization>>;

/// Reads the files that the properties name.
Result<SecurityObject> load_security_object(const schema::ObjectOptions& options);

}  // namespace godwit::vm

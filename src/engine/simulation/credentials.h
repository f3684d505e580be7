// What the hosts of a simulation know each other by: nothing. Their connections are encrypted all the same.
#pragma once

#include <godwit/tls.h>

namespace godwit::engine::simulation {

/// Has "client" and "server".
const TlsObjects& anonymous_credentials();

}  // namespace godwit::engine::simulation

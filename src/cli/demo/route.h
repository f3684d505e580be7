// The way between the two machines.
#pragma once

#include <string>

#include "cli/demo/machine.h"

namespace godwit::cli::demo {

/// What `migrate` and `migrate-incoming` have to be told.
struct Route {
  std::string source_uri;
  std::string
      late_destination_uri;  ///< empty, or: the destination shall read from there once the source is done
  bool two_way = false;      ///< the destination can answer over it
};

/// Makes the destination listen, and learns where. With a file nobody listens.
Result<Route> open_route(Transport transport, Machine& source, Machine& destination,
                         const TemporaryDirectory& directory);

}  // namespace godwit::cli::demo

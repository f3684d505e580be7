#include "engine/ownership.h"

namespace godwit::engine {

std::string_view to_string(Owner owner) {
  switch (owner) {
    case Owner::here:
      return "here";
    case Owner::unknown:
      return "unknown";
    case Owner::there:
      return "there";
  }
  return "unknown";
}

}  // namespace godwit::engine

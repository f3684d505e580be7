#include "qmp/version.h"

namespace godwit::qmp {

schema::VersionInfo monitor_version() {
  return {.qemu = {.major = 7, .minor = 2, .micro = 0}, .package = "Godwit " GODWIT_VERSION};
}

}  // namespace godwit::qmp

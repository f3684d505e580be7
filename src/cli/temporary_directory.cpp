#include "cli/temporary_directory.h"

#include <cerrno>
#include <filesystem>
#include <stdlib.h>
#include <utility>

#include "base/system.h"

namespace godwit::cli {

Result<TemporaryDirectory> TemporaryDirectory::create() {
  const char* parent = std::getenv("TMPDIR");
  std::string path = std::string(parent != nullptr && *parent != '\0' ? parent : "/tmp") + "/godwit-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return system_error("cannot create a directory like " + path, errno);
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;  // nobody can do anything about it here
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace godwit::cli

// A directory that only we can enter and that goes with us.
#pragma once

#include <string>

#include <godwit/result.h>

namespace godwit::cli {

class TemporaryDirectory {
 public:
  /// Below $TMPDIR, or /tmp; short, because socket paths are.
  static Result<TemporaryDirectory> create();

  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty: none
};

}  // namespace godwit::cli

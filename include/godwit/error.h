// Errors are values. An Error says what went wrong in the words a client of the monitor sees, and carries for
// the log and the operator which side of the migration and which phase it happened in, and what to do next.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace godwit {

/// The error classes of QMP (control-plane section 2). Everything but a few named cases is `generic`.
enum class ErrorClass : std::uint8_t {
  generic,
  command_not_found,
  device_not_active,
  device_not_found,
  kvm_missing_capability,
};

/// "GenericError", "CommandNotFound", ...
std::string_view to_string(ErrorClass error_class);

/// Which end of a migration noticed the error.
enum class Side : std::uint8_t { none, source, destination };

/// One failure. Cheap to move; a moved-from Error may only be assigned to or destroyed.
class Error {
 public:
  explicit Error(std::string what);
  Error(const Error& other);
  Error& operator=(const Error& other);
  Error(Error&&) noexcept;
  Error& operator=(Error&&) noexcept;
  ~Error();

  /// Builders, used while the error travels upward: `return std::unexpected(std::move(e).in("ram"));`
  Error with_class(ErrorClass error_class) &&;
  Error at(Side side, std::string phase) &&;  ///< kept if a lower layer has said so already
  Error in(std::string_view context) &&;      ///< puts "context: " in front of what()
  Error advise(std::string next_step) &&;     ///< kept if a lower layer has said so already

  /// The text a monitor client gets in `error.desc` or `error-desc`.
  const std::string& what() const;
  ErrorClass error_class() const;
  Side side() const;
  const std::string& phase() const;
  const std::string& advice() const;

  /// One line for a person: "destination, loading ram: <what>. Next: <advice>". Absent parts are left out.
  std::string explain() const;

 private:
  struct Details;
  std::unique_ptr<Details> details_;  // one pointer, so that Result<small> stays small
};

}  // namespace godwit

// Device state as named, versioned sections of the stream (wire-format sections 1.4 and 2).
#pragma once

#include <cstdint>
#include <string>

#include <godwit/result.h>
#include <godwit/stream.h>

namespace godwit {

/// One device. Most are made with make_section() from a FieldTable (<godwit/field_table.h>); implement this
/// for state that no table can describe.
///
/// Threads: called by the migration thread only, with the guest stopped (save) or not yet started (load).
class DeviceSection {
 public:
  struct Identity {
    std::string name;  ///< the idstr, 1 to 255 bytes
    std::uint32_t instance = 0;
    std::uint32_t version = 1;          ///< what save() writes and the newest that load() understands
    std::uint32_t minimum_version = 1;  ///< the oldest that load() understands
  };

  virtual ~DeviceSection() = default;
  virtual const Identity& identity() const = 0;

  /// Is it part of a stream now? What is not is still understood when it arrives.
  virtual bool is_sent() { return true; }

  /// May a stream do without it? One that leaves out any other device is refused: the guest would go on with
  /// the state of a machine that was just switched on.
  virtual bool is_optional() const { return false; }

  /// Appends the section's body to `out`, and to `description` the members of its JSON description after
  /// "instance_id", without braces: `"vmsd_name": "timer", "version": 2, "fields": [...]` (wire-format
  /// section 2.5).
  virtual Result<> save(Output& out, std::string& description) = 0;

  /// Reads the section's body. `version` is between minimum_version and version. An error names the field,
  /// the value and the range. A failed load leaves the device in an unspecified state: the guest is not
  /// started.
  virtual Result<> load(Input& in, std::uint32_t version) = 0;
};

}  // namespace godwit

// The set of migration capabilities and the rules between them (control-plane section 7).
#pragma once

#include <bitset>
#include <string>
#include <vector>

#include <godwit/result.h>
#include <godwit/schema/types.h>

#include "engine/parameters.h"

namespace godwit::engine {

using Capability = schema::MigrationCapability;

class Capabilities {
 public:
  bool has(Capability capability) const { return set_.test(static_cast<std::size_t>(capability)); }
  void set(Capability capability, bool on) { set_.set(static_cast<std::size_t>(capability), on); }

  /// In the order of the schema, one entry each.
  std::vector<schema::MigrationCapabilityStatus> list() const;

  /// These capabilities with `changes` applied, or why the result may not be beside `parameters`. All or
  /// nothing.
  Result<Capabilities> with(const std::vector<schema::MigrationCapabilityStatus>& changes,
                            const Parameters& parameters = {}) const;

 private:
  std::bitset<64> set_;
};

/// The names that the configuration section carries: those that both sides have to have on, or off.
std::vector<std::string> sent_capabilities(const Capabilities& capabilities);

/// The engine behind this capability exists.
bool is_built(Capability capability);

/// May the complete set stand? The texts are those of control-plane section 7, in its order of checks.
Result<> check(const Capabilities& capabilities, const Parameters& parameters);

/// May a migration start with it? What 7.2 lets stand in a set, and what cannot work.
Result<> check_start(const Capabilities& capabilities);

/// The part of check() that a change of parameters can break.
Result<> check_beside_parameters(const Capabilities& capabilities, const Parameters& parameters);

}  // namespace godwit::engine

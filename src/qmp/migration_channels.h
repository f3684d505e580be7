// The structured addresses of `migrate`, `migrate-incoming` and -incoming, which stand for URIs.
#pragma once

#include <string>
#include <vector>

#include <godwit/result.h>
#include <godwit/schema/types.h>

namespace godwit::qmp {

/// The URI that means the same as the one main channel. Errors name the member: `Parameter
/// 'channels[0].addr.path' is missing`.
Result<std::string> uri_of(const std::vector<schema::MigrationChannel>& channels);

}  // namespace godwit::qmp

// The arguments of a command as typed: keys with dots make a tree, whose leaves are text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/qmp/schema_index.h"

namespace godwit::cli::qmp {

struct ArgumentNode {
  std::string name;                 ///< empty at the root
  std::optional<std::string> text;  ///< of a leaf, with its quotes
  std::vector<ArgumentNode> children;

  const ArgumentNode* child(std::string_view wanted) const;
  /// The child of that name, made if it is not there.
  ArgumentNode& at(std::string_view wanted);
};

/// The parts of a key: "a.b.0" is three. A key that is a member's name as it stands is one.
std::vector<std::string> key_parts(std::string_view key, const Type& arguments);

/// "key=value" words as a tree. Fails for a word without a key, and for two that contradict each other.
Result<ArgumentNode> argument_tree(std::span<const std::string_view> words, const Type& arguments);

/// Tells the tags of an object from what is given for its members.
TagLookup tags_of(const ArgumentNode& node);

}  // namespace godwit::cli::qmp

#include "cli/qmp/argument_tree.h"

#include <algorithm>

#include "base/fail.h"
#include "cli/qmp/words.h"

namespace godwit::cli::qmp {
namespace {

Result<> add(ArgumentNode& root, std::string_view key, std::string_view value, const Type& arguments) {
  ArgumentNode* node = &root;
  std::string path;
  for (const auto& part : key_parts(key, arguments)) {
    if (part.empty()) return fail("'{}' is no name of an argument: there is nothing at one of its dots", key);
    if (node->text) return fail("'{}' is given a value, and '{}' a member of it", path, key);
    node = &node->at(part);
    path += (path.empty() ? "" : ".") + part;
  }
  if (node->text) return fail("'{}' is given twice", key);
  if (!node->children.empty()) return fail("'{}' is given a value, and members of it too", key);
  node->text = std::string(value);
  return {};
}

}  // namespace

const ArgumentNode* ArgumentNode::child(std::string_view wanted) const {
  const auto found = std::ranges::find(children, wanted, &ArgumentNode::name);
  return found == children.end() ? nullptr : &*found;
}

ArgumentNode& ArgumentNode::at(std::string_view wanted) {
  const auto found = std::ranges::find(children, wanted, &ArgumentNode::name);
  if (found != children.end()) return *found;
  children.push_back({.name = std::string(wanted), .text = {}, .children = {}});
  return children.back();
}

std::vector<std::string> key_parts(std::string_view key, const Type& arguments) {
  if (std::ranges::any_of(arguments.members, [key](const Member& member) { return member.name == key; }))
    return {std::string(key)};
  std::vector<std::string> parts;
  for (std::size_t dot = 0; dot != key.npos;) {
    dot = key.find('.');
    parts.emplace_back(key.substr(0, dot));
    if (dot != key.npos) key.remove_prefix(dot + 1);
  }
  return parts;
}

Result<ArgumentNode> argument_tree(std::span<const std::string_view> words, const Type& arguments) {
  ArgumentNode root;
  for (const auto word : words) {
    const auto equals = word.find('=');
    if (equals == word.npos || equals == 0)
      return std::unexpected(Error(fmt::format("'{}' is not of the form key=value", word))
                                 .advise("quote a value that has spaces in it: key='a value'"));
    GODWIT_TRY(add(root, word.substr(0, equals), word.substr(equals + 1), arguments));
  }
  return root;
}

TagLookup tags_of(const ArgumentNode& node) {
  return [&node](std::string_view tag) -> std::string {
    const auto* child = node.child(tag);
    if (child == nullptr || !child->text) return {};
    return unquoted(*child->text).value_or(*child->text);
  };
}

}  // namespace godwit::cli::qmp

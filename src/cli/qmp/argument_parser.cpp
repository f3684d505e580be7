#include "cli/qmp/argument_parser.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "cli/qmp/argument_tree.h"
#include "cli/qmp/words.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

using Kind = Type::Kind;

Result<json::value> convert(const ArgumentNode& node, const Type& type, const std::string& key, bool open);

std::unexpected<Error> unknown_member(const Type& type, const ArgumentNode& node, const std::string& name,
                                      const std::string& path) {
  std::vector<std::string_view> names;
  for (const auto* member : members_of(type, tags_of(node))) names.push_back(member->name);
  if (!type.tag.empty() && node.child(type.tag) == nullptr)
    return godwit::fail(Error(fmt::format("there is no '{}' before '{}' is given", path, type.tag))
                            .advise("give '" + type.tag + "': it says which others there are"));
  const auto near = nearest(name, names);
  return godwit::fail(Error(fmt::format("there is no argument '{}'", path))
                          .advise(!near.empty()   ? "use " + near + "?"
                                  : names.empty() ? "leave it out: there are none"
                                                  : fmt::format("use one of {}", fmt::join(names, ", "))));
}

Result<json::value> convert_object(const ArgumentNode& node, const Type& type, const std::string& path,
                                   bool open) {
  json::object object;
  const auto members = members_of(type, tags_of(node));
  for (const auto& child : node.children) {
    const auto& name = child.name;
    const auto key = path.empty() ? name : path + "." + name;
    const auto member = std::ranges::find(members, name, [](const Member* m) { return m->name; });
    const bool known = member != members.end();
    if (!known && !open && type.kind == Kind::object) return unknown_member(type, node, name, key);
    GODWIT_ASSIGN(object[name], convert(child, known ? *(*member)->type : any_type(), key, false));
  }
  return object;
}

/// Members by number, "0" first, none left out.
Result<json::value> convert_array(const ArgumentNode& node, const Type& type, const std::string& path) {
  json::array array;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const auto* child = node.child(std::to_string(i));
    if (child == nullptr)
      return godwit::fail(Error(fmt::format("'{}' is a list, and has no '{}.{}'", path, path, i))
                              .advise("number its elements from 0, without a gap"));
    GODWIT_ASSIGN(auto element, convert(*child, *type.element, fmt::format("{}.{}", path, i), false));
    array.push_back(std::move(element));
  }
  return array;
}

Result<json::value> convert(const ArgumentNode& node, const Type& type, const std::string& key, bool open) {
  if (node.text) return parse_value(*node.text, type, key);
  if (type.kind == Kind::object || type.kind == Kind::any) return convert_object(node, type, key, open);
  if (type.kind == Kind::array) return convert_array(node, type, key);
  for (const Type* choice : type.choices)
    if (choice->kind == Kind::object || choice->kind == Kind::array) return convert(node, *choice, key, open);
  return fail("'{}' takes {}, and has no members", key, describe(type));
}

Result<json::object> parse_json_request(std::string_view text) {
  json::error_code error;
  auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object())
    return std::unexpected(Error("the request is not a JSON object: " + error.message())
                               .advise(R"(write {"execute": "COMMAND", "arguments": {...}})"));
  return std::move(value.as_object());
}

}  // namespace

bool is_json_request(std::string_view text) {
  const auto start = text.find_first_not_of(" \t\r\n");
  return start != text.npos && text[start] == '{';
}

Result<json::object> parse_request(std::span<const std::string_view> words, const SchemaIndex& schema) {
  if (words.size() == 1 && is_json_request(words[0])) return parse_json_request(words[0]);
  json::string_view verb = "execute";
  if (!words.empty() && (words[0] == "exec-oob" || words[0] == "-oob")) {
    verb = "exec-oob";
    words = words.subspan(1);
  }
  if (words.empty()) return fail("there is no command");
  const auto name = words[0];
  const auto* command = schema.command(name);
  const Type& type = command != nullptr ? *command->arguments : any_type();
  auto tree = argument_tree(words.subspan(1), type);
  if (!tree) return std::unexpected(std::move(tree).error().in(name));
  auto arguments = convert(*tree, type, "", command != nullptr && command->open);
  if (!arguments) return std::unexpected(std::move(arguments).error().in(name));
  json::object request;
  request[verb] = json::string_view(name.data(), name.size());
  if (!tree->children.empty()) request["arguments"] = *std::move(arguments);
  return request;
}

Result<json::object> parse_request(std::string_view line, const SchemaIndex& schema) {
  if (is_json_request(line)) return parse_json_request(line);
  const auto split = split_words(line);
  if (split.missing != 0) return fail("the line ends before the {} that closes it", split.missing);
  std::vector<std::string_view> words;
  for (const auto& word : split.words) words.push_back(word.text);
  return parse_request(words, schema);
}

}  // namespace godwit::cli::qmp

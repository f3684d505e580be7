#include "cli/qmp/completer.h"

#include <algorithm>

#include "cli/qmp/argument_parser.h"
#include "cli/qmp/argument_tree.h"
#include "cli/qmp/words.h"

namespace godwit::cli::qmp {
namespace {

using Kind = Type::Kind;

/// The line taken apart at the cursor.
struct Position {
  std::vector<std::string_view> before;  ///< whole words
  std::string_view typed;                ///< of the word at the cursor
  std::size_t begin = 0;                 ///< where that word starts
};

Position position_in(std::string_view line) {
  auto split = split_words(line);
  Position position{.before = {}, .typed = {}, .begin = line.size()};
  const bool inside_word =
      !split.words.empty() && split.words.back().begin + split.words.back().text.size() == line.size();
  if (inside_word) {
    position.typed = split.words.back().text;
    position.begin = split.words.back().begin;
    split.words.pop_back();
  }
  for (const auto& word : split.words) position.before.push_back(word.text);
  return position;
}

bool is_out_of_band(std::string_view word) {
  return word == "exec-oob" || word == "-oob";
}

/// The command that the line is about; nullptr as long as its name is being typed. `arguments` are its words.
const Command* command_in(const Position& position, const SchemaIndex& schema,
                          std::span<const std::string_view>& arguments) {
  arguments = position.before;
  if (!arguments.empty() && is_out_of_band(arguments[0])) arguments = arguments.subspan(1);
  if (arguments.empty()) return nullptr;
  const auto* command = schema.command(arguments[0]);
  arguments = arguments.subspan(1);
  return command;
}

/// Where the path of a key leads: the members there, and the node with what is given of them so far.
struct Place {
  const Type* type = nullptr;
  const ArgumentNode* node = nullptr;
};

const ArgumentNode& node_of(const Place& place) {
  static const ArgumentNode nothing;
  return place.node != nullptr ? *place.node : nothing;
}

const Type* member_type(const Place& place, std::string_view name) {
  for (const auto* member : members_of(*place.type, tags_of(node_of(place))))
    if (member->name == name) return member->type;
  return nullptr;
}

/// The part of an alternate that has members.
const Type* with_members(const Type* type) {
  if (type->kind != Kind::alternate) return type;
  for (const Type* choice : type->choices)
    if (choice->kind == Kind::object || choice->kind == Kind::array) return choice;
  return type;
}

Place step(const Place& place, const std::string& part) {
  Place next;
  if (place.type->kind == Kind::array)
    next.type = part.find_first_not_of("0123456789") == part.npos ? place.type->element : nullptr;
  else
    next.type = member_type(place, part);
  if (next.type != nullptr) next.type = with_members(next.type);
  next.node = place.node != nullptr ? place.node->child(part) : nullptr;
  return next;
}

/// The type of a key's value; nullptr if the schema does not know the key.
const Type* type_of_key(const Type& arguments, const ArgumentNode& root, std::string_view key) {
  Place place{&arguments, &root};
  const auto parts = key_parts(key, arguments);
  for (std::size_t i = 0; i < parts.size() && place.type != nullptr; ++i) {
    if (i + 1 == parts.size())
      return place.type->kind == Kind::array ? place.type->element : member_type(place, parts[i]);
    place = step(place, parts[i]);
  }
  return nullptr;
}

ArgumentNode tree_of(std::span<const std::string_view> words, const Type& arguments) {
  // A mistake in an earlier word is told when the line is entered, not while it is typed.
  return argument_tree(words, arguments).value_or(ArgumentNode());
}

std::vector<std::string> values_of(const Type& type) {
  if (type.kind == Kind::enumeration) return type.values;
  if (type.kind == Kind::boolean) return {"false", "true"};
  if (type.kind == Kind::null) return {"null"};
  std::vector<std::string> values;
  for (const Type* choice : type.choices)
    if (choice->kind != Kind::alternate) std::ranges::copy(values_of(*choice), std::back_inserter(values));
  return values;
}

/// The element of a list that what comes next belongs to: the last one begun, or one more if that has all it
/// must have.
std::size_t next_element(const ArgumentNode* list, const Type& element) {
  if (list == nullptr || list->children.empty()) return 0;
  const std::size_t last = list->children.size() - 1;
  const auto* node = list->child(std::to_string(last));
  if (node == nullptr) return last;
  for (const auto* member : members_of(element, tags_of(*node)))
    if (!member->optional && node->child(member->name) == nullptr) return last;
  return last + 1;
}

/// How the name of a member goes on.
std::string behind(const Type& type, const ArgumentNode* given) {
  const Type* inner = with_members(&type);
  if (inner->kind == Kind::object) return ".";
  if (inner->kind != Kind::array || with_members(inner->element)->kind != Kind::object) return "=";
  return "." + std::to_string(next_element(given, *with_members(inner->element))) + ".";
}

std::string about(const Member& member) {
  return describe(*member.type) + (member.optional ? ", optional" : "");
}

class Collector {
 public:
  Collector(std::string_view typed, std::size_t begin) : typed_(typed) { completion_.begin = begin; }

  void add(std::string text, std::string about = {}) {
    if (text.starts_with(typed_)) completion_.candidates.push_back({std::move(text), std::move(about)});
  }
  Completion take() {
    auto& list = completion_.candidates;
    std::ranges::sort(list, {}, &Candidate::text);
    const auto twice = std::ranges::unique(list, {}, &Candidate::text);
    list.erase(twice.begin(), twice.end());
    return std::move(completion_);
  }

 private:
  std::string_view typed_;
  Completion completion_;
};

Completion complete_command(const Position& position, const SchemaIndex& schema) {
  Collector found(position.typed, position.begin);
  const bool out_of_band = !position.before.empty() && is_out_of_band(position.before[0]);
  const bool help = !position.before.empty() && !out_of_band;
  for (const auto& [name, command] : schema.commands())
    if (!out_of_band || command.out_of_band) found.add(name + " ");
  if (help)
    for (const auto& [name, data] : schema.events()) found.add(name + " ");
  if (position.before.empty())
    for (const auto word : shell_words) found.add(std::string(word) + " ");
  return found.take();
}

Completion complete_value(const Position& position, std::size_t equals, const Type* type) {
  Collector found(position.typed.substr(equals + 1), position.begin + equals + 1);
  if (type != nullptr)
    for (const auto& value : values_of(*type)) found.add(value + " ");
  return found.take();
}

/// Where the part of a key before its last dot leads; no type: nowhere.
Place place_of(std::string_view key, const Type& arguments, const ArgumentNode& root) {
  Place place{&arguments, &root};
  const auto dot = key.rfind('.');
  if (dot == key.npos) return place;
  for (const auto& part : key_parts(key.substr(0, dot), arguments)) {
    place = step(place, part);
    if (place.type == nullptr) break;
  }
  return place;
}

Completion complete_key(const Position& position, const Type& arguments, const ArgumentNode& root) {
  const auto dot = position.typed.rfind('.');
  const std::size_t prefix = dot == position.typed.npos ? 0 : dot + 1;
  Collector found(position.typed.substr(prefix), position.begin + prefix);
  const auto place = place_of(position.typed, arguments, root);
  if (place.type == nullptr) return found.take();
  const auto& node = node_of(place);
  for (const auto* member : members_of(*place.type, tags_of(node))) {
    const auto* given = node.child(member->name);
    if (given == nullptr || !given->text)
      found.add(member->name + behind(*member->type, given), about(*member));
  }
  return found.take();
}

std::string hint_of_members(const Place& place) {
  std::string text;
  if (place.type == nullptr) return text;
  const auto& node = node_of(place);
  for (const auto* member : members_of(*place.type, tags_of(node))) {
    if (node.child(member->name) != nullptr) continue;
    const auto one = member->name + "=" + describe(*member->type);
    text += (text.empty() ? "" : " ") + (member->optional ? "[" + one + "]" : one);
  }
  return text;
}

}  // namespace

std::string Completion::common() const {
  if (candidates.empty()) return {};
  std::string_view common = candidates.front().text;
  for (const auto& candidate : candidates) {
    const auto [end, other] = std::ranges::mismatch(common, candidate.text);
    common = common.substr(0, static_cast<std::size_t>(end - common.begin()));
  }
  return std::string(common);
}

Completion complete(std::string_view line, const SchemaIndex& schema) {
  const auto position = position_in(line);
  if (is_json_request(line)) return {.begin = line.size(), .candidates = {}};
  std::span<const std::string_view> words;
  const auto* command = command_in(position, schema, words);
  if (position.before.empty() || (position.before.size() == 1 && (is_out_of_band(position.before[0]) ||
                                                                  position.before[0].ends_with("help"))))
    return complete_command(position, schema);
  if (command == nullptr) return {.begin = line.size(), .candidates = {}};
  const auto root = tree_of(words, *command->arguments);
  const auto equals = position.typed.find('=');
  if (equals == position.typed.npos) return complete_key(position, *command->arguments, root);
  return complete_value(position, equals,
                        type_of_key(*command->arguments, root, position.typed.substr(0, equals)));
}

std::string hint(std::string_view line, const SchemaIndex& schema) {
  const auto position = position_in(line);
  std::span<const std::string_view> words;
  const auto* command = command_in(position, schema, words);
  if (command == nullptr) return {};
  const auto root = tree_of(words, *command->arguments);
  const auto equals = position.typed.find('=');
  if (equals == position.typed.npos)
    return hint_of_members(place_of(position.typed, *command->arguments, root));
  const auto key = position.typed.substr(0, equals);
  const auto* type = type_of_key(*command->arguments, root, key);
  return type == nullptr ? std::string() : std::string(key) + ": " + describe(*type);
}

}  // namespace godwit::cli::qmp

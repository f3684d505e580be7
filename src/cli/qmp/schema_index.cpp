#include "cli/qmp/schema_index.h"

#include <algorithm>
#include <numeric>

#include "base/fail.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

using Kind = Type::Kind;

std::string text_member(const json::object& entry, std::string_view name) {
  const auto* value = entry.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string().data(), value->get_string().size());
}

/// The objects in a list that is a member of `entry`; none if it is not there.
std::vector<const json::object*> list_member(const json::object& entry, std::string_view name) {
  std::vector<const json::object*> list;
  const auto* value = entry.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_array()) return list;
  for (const auto& element : value->get_array())
    if (const auto* object = element.if_object()) list.push_back(object);
  return list;
}

Kind builtin_kind(std::string_view json_type) {
  static constexpr std::pair<std::string_view, Kind> kinds[] = {
      {"string", Kind::string},   {"int", Kind::integer}, {"number", Kind::number},
      {"boolean", Kind::boolean}, {"null", Kind::null},   {"object", Kind::object},
      {"array", Kind::array}};
  const auto* found = std::ranges::find(kinds, json_type, &std::pair<std::string_view, Kind>::first);
  return found == std::end(kinds) ? Kind::any : found->second;
}

class Builder {
 public:
  explicit Builder(std::map<std::string, std::unique_ptr<Type>, std::less<>>& types) : types_(types) {}

  /// The type of that name, which may be described later. Without a name: any.
  Type* type(const std::string& name) {
    auto& type = types_[name];
    if (!type) type = std::make_unique<Type>();
    return type.get();
  }

  void describe(const json::object& entry, std::string_view meta_type, Type& type) {
    if (meta_type == "builtin") type.kind = builtin_kind(text_member(entry, "json-type"));
    if (meta_type == "enum") describe_enum(entry, type);
    if (meta_type == "object") describe_object(entry, type);
    if (meta_type == "array") {
      type.kind = Kind::array;
      type.element = this->type(text_member(entry, "element-type"));
    }
    if (meta_type == "alternate") {
      type.kind = Kind::alternate;
      for (const auto* member : list_member(entry, "members"))
        type.choices.push_back(this->type(text_member(*member, "type")));
    }
  }

 private:
  static void describe_enum(const json::object& entry, Type& type) {
    type.kind = Kind::enumeration;
    if (const auto* values = entry.if_contains("values"); values != nullptr && values->is_array()) {
      for (const auto& value : values->get_array())
        if (const auto* text = value.if_string()) type.values.emplace_back(text->data(), text->size());
      return;
    }
    for (const auto* member : list_member(entry, "members"))
      type.values.push_back(text_member(*member, "name"));
  }

  void describe_object(const json::object& entry, Type& type) {
    type.kind = Kind::object;
    for (const auto* member : list_member(entry, "members"))
      type.members.push_back({.name = text_member(*member, "name"),
                              .type = this->type(text_member(*member, "type")),
                              .optional = member->contains("default")});
    type.tag = text_member(entry, "tag");
    for (const auto* variant : list_member(entry, "variants"))
      type.variants.push_back({text_member(*variant, "case"), this->type(text_member(*variant, "type"))});
  }

  std::map<std::string, std::unique_ptr<Type>, std::less<>>& types_;
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

void add_members(const Type& object, const TagLookup& tags, std::vector<const Member*>& found, int depth) {
  constexpr int deepest = 8;  // a schema that contains itself shall not take us along
  for (const auto& member : object.members) found.push_back(&member);
  if (object.tag.empty() || depth == deepest) return;
  const auto chosen = tags(object.tag);
  for (const auto& variant : object.variants)
    if (chosen.empty() || variant.tag_value == chosen) add_members(*variant.type, tags, found, depth + 1);
}

std::string joined(const std::vector<std::string>& texts) {
  constexpr std::size_t most = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(texts.size(), most); ++i) text += (i > 0 ? "|" : "") + texts[i];
  return texts.size() > most ? text + "|..." : text;
}

}  // namespace

Result<SchemaIndex> SchemaIndex::build(const json::value& schema) {
  const auto* entries = schema.if_array();
  if (entries == nullptr) return fail("the answer to query-qmp-schema is not a list");
  SchemaIndex index;
  Builder builder(index.types_);
  for (const auto& value : *entries) {
    const auto* entry = value.if_object();
    const auto name = entry != nullptr ? text_member(*entry, "name") : std::string();
    if (name.empty()) return fail("the answer to query-qmp-schema has an entry without a name");
    const auto meta_type = text_member(*entry, "meta-type");
    if (meta_type == "command") {
      const auto* out_of_band = entry->if_contains("allow-oob");
      index.commands_[name] = {
          .name = name,
          .arguments = builder.type(text_member(*entry, "arg-type")),
          .returns = builder.type(text_member(*entry, "ret-type")),
          .out_of_band = out_of_band != nullptr && out_of_band->is_bool() && out_of_band->get_bool(),
          // It takes the properties of the device, which no schema lists.
          .open = name == "device_add"};
    } else if (meta_type == "event") {
      index.events_[name] = builder.type(text_member(*entry, "arg-type"));
    } else {
      builder.describe(*entry, meta_type, *builder.type(name));
    }
  }
  return index;
}

const Command* SchemaIndex::command(std::string_view name) const {
  const auto found = commands_.find(name);
  return found == commands_.end() ? nullptr : &found->second;
}

const Type& any_type() {
  static const Type any;
  return any;
}

std::vector<const Member*> members_of(const Type& object, const TagLookup& tags) {
  std::vector<const Member*> found;
  add_members(object, tags, found, 0);
  return found;
}

std::string describe(const Type& type) {
  switch (type.kind) {
    case Kind::string:
      return "string";
    case Kind::integer:
      return "int";
    case Kind::number:
      return "number";
    case Kind::boolean:
      return "bool";
    case Kind::null:
      return "null";
    case Kind::any:
      return "any";
    case Kind::object:
      return "object";
    case Kind::array:
      // An array of arrays of itself is no type of QAPI's, but a peer may say so.
      return type.element->kind == Kind::array ? "[array]" : "[" + describe(*type.element) + "]";
    case Kind::enumeration:
      return joined(type.values);
    case Kind::alternate: {
      std::vector<std::string> choices;
      for (const auto* choice : type.choices)
        choices.push_back(choice->kind == Kind::alternate ? "any"
                          : choice->kind == Kind::array   ? "array"
                                                          : describe(*choice));
      return joined(choices);
    }
  }
  return "any";
}

std::string nearest(std::string_view wrong, const std::vector<std::string_view>& names) {
  std::string_view best;
  std::size_t least = std::max<std::size_t>(wrong.size() / 3, 1) + 1;
  for (const auto name : names)
    if (const auto distance = edit_distance(wrong, name); distance < least) {
      least = distance;
      best = name;
    }
  return std::string(best);
}

}  // namespace godwit::cli::qmp

"""types.h, types.cpp and raw_types.h: the enums and structs of the schema."""

from . import names
from .cpp import Text, branch_types, header, member_type, quoted, source, type_name
from .model import Alternate, Enum, Struct, Union

_INCLUDES = ["#include <cstddef>", "#include <cstdint>", "#include <optional>", "#include <span>", "#include <string>",
             "#include <string_view>", "#include <variant>", "#include <vector>", ""]

_PREAMBLE = """
/// What a command without arguments takes, and one without result returns. In JSON: {}.
struct Nothing {
  friend bool operator==(const Nothing&, const Nothing&) = default;
};

/// The value that is called `text` in the schema, if there is one.
template <typename E>
std::optional<E> from_string(std::string_view text) = delete;

/// All values of an enum in the order of the schema.
template <typename E>
std::span<const E> all_values() = delete;

/// How many values an enum has; they are numbered from 0.
template <typename E>
inline constexpr std::size_t value_count = 0;
""".strip().split("\n")


def emit(schema):
    ordered = schema.in_order()
    return {
        "types.h": _types_header([type_ for type_ in ordered if not type_.holds_json()]),
        "types.cpp": _types_source(schema.of(Enum)),
        "raw_types.h": _raw_header([type_ for type_ in ordered if type_.holds_json()]),
    }


def _types_header(types):
    text = header("The types of the control interface. Plain values; nothing here knows JSON.")
    text.add(*_INCLUDES, "namespace godwit::schema {", "", *_PREAMBLE)
    for type_ in types:
        _define(text, type_)
    text.blank()
    return str(text.add("}  // namespace godwit::schema"))


def _raw_header(types):
    text = header("The types of the control interface that carry JSON of any shape.")
    text.add(*_INCLUDES[:-1], "", "#include <boost/json.hpp>", "", "#include <godwit/schema/types.h>", "")
    text.add("namespace godwit::schema {")
    for type_ in types:
        _define(text, type_)
    text.blank()
    return str(text.add("}  // namespace godwit::schema"))


def _define(text, type_):
    text.blank()
    if isinstance(type_, Enum):
        _enum(text, type_)
    elif isinstance(type_, Struct):
        _struct(text, type_)
    elif isinstance(type_, Union):
        _union(text, type_)
    elif isinstance(type_, Alternate):
        _alternate(text, type_)


def _enum(text, enum):
    text.comment(enum.doc.text)
    text.add(f"enum class {enum.name} : std::uint8_t {{")
    for value in enum.values:
        text.documented(f"{names.snake(value.name)},", value.doc)
    text.add("};", "/// The name in the schema.", f"std::string_view to_string({enum.name} value);", "template <>",
             f"std::optional<{enum.name}> from_string<{enum.name}>(std::string_view text);", "template <>",
             f"std::span<const {enum.name}> all_values<{enum.name}>();", "template <>",
             f"inline constexpr std::size_t value_count<{enum.name}> = {len(enum.values)};")


def _members(text, members):
    for member in members:
        text.documented(f"{member_type(member)} {names.snake(member.name)}{{}};", member.doc)


def _equality(name):
    return f"  friend bool operator==(const {name}&, const {name}&) = default;"


def _struct(text, struct):
    use = "Data" if struct.name.endswith("EventData") else "Arguments"
    text.comment(f"{use} of {struct.doc.name}." if struct.implicit else struct.doc.text)
    text.add(f"struct {struct.name} {{")
    _members(text, struct.members)
    text.blank()
    text.add(_equality(struct.name), "};")


def _union(text, union):
    text.comment(union.doc.text)
    text.add(f"struct {union.name} {{")
    _members(text, union.plain_members())
    alternatives = [(value, type_name(branch) if branch else "Nothing") for value, branch in branch_types(union)]
    text.comment("One alternative for each value of the tag, in their order: " +
                 ", ".join(f"{value} {name}" for value, name in alternatives) + ".", "  ")
    text.add(f"  std::variant<{', '.join(name for _, name in alternatives)}> u{{}};", "")
    tag = union.discriminator
    text.comment(tag.doc, "  ")
    text.add(f"  {type_name(tag.type)} {names.snake(tag.name)}() const "
             f"{{ return static_cast<{type_name(tag.type)}>(u.index()); }}", "", _equality(union.name), "};")


def _alternate(text, alternate):
    text.comment(alternate.doc.text)
    text.add(f"struct {alternate.name} {{", f"  std::optional<{type_name(alternate.value)}> value{{}};  ///< unset: null",
             "", _equality(alternate.name), "};")


def _types_source(enums):
    text = source("Names and values of the enums.")
    text.add("#include <algorithm>", "#include <array>", "#include <cassert>", "",
             "#include <godwit/schema/types.h>", "", "namespace godwit::schema {", "namespace {", "")
    text.add("template <typename E>", "std::string_view name_of(std::span<const std::string_view> names, E value) {",
             "  const auto index = static_cast<std::size_t>(value);", "  assert(index < names.size());",
             "  return names[index];", "}", "", "template <typename E>",
             "std::optional<E> value_of(std::span<const std::string_view> names, std::string_view text) {",
             "  const auto found = std::ranges::find(names, text);", "  if (found == names.end()) return std::nullopt;",
             "  return static_cast<E>(found - names.begin());", "}")
    for enum in enums:
        _enum_tables(text, enum)
    text.add("", "}  // namespace")
    for enum in enums:
        _enum_functions(text, enum)
    return str(text.add("", "}  // namespace godwit::schema"))


def _enum_tables(text, enum):
    count = len(enum.values)
    text.add("", f"constexpr std::array<std::string_view, {count}> {names.snake(enum.name)}_names = {{")
    text.add(*[f"    {quoted(value.name)}," for value in enum.values], "};")
    text.add(f"constexpr std::array<{enum.name}, {count}> {names.snake(enum.name)}_values = {{")
    text.add(*[f"    {enum.name}::{names.snake(value.name)}," for value in enum.values], "};")


def _enum_functions(text: Text, enum):
    table = names.snake(enum.name)
    text.add("", f"std::string_view to_string({enum.name} value) {{ return name_of({table}_names, value); }}",
             "template <>", f"std::optional<{enum.name}> from_string<{enum.name}>(std::string_view text) {{",
             f"  return value_of<{enum.name}>({table}_names, text);", "}", "template <>",
             f"std::span<const {enum.name}> all_values<{enum.name}>() {{ return {table}_values; }}")

"""introspection.h and introspection.cpp: what query-qmp-schema, query-commands and query-events answer."""

import json

from .cpp import header, source
from .model import Alternate, Array, Builtin, Enum, Struct, Union

_PIECE = 8000  # characters of one string literal; compilers need not take more than 65536


def emit(schema):
    return {"introspection.h": _header(), "introspection.cpp": _source(schema)}


def entries(schema):
    """The answer to query-qmp-schema, as Python values."""
    return _Introspection().describe(schema)


class _Introspection:
    """Gives each type a number when it is met first, and describes it after those who use it."""

    def __init__(self):
        self.names = {}
        self.waiting = []
        self.result = []

    def describe(self, schema):
        for command in schema.commands:
            entry = {"name": command.name, "meta-type": "command", "arg-type": self._name(command.arguments),
                     "ret-type": self._name(command.returns)}
            if command.allow_oob:
                entry["allow-oob"] = True
            self._add(entry, command.features)
        for event in schema.events:
            self._add({"name": event.name, "meta-type": "event", "arg-type": self._name(event.data)})
        while self.waiting:
            self._type(self.waiting.pop(0))
        return self.result

    def _add(self, entry, features=()):
        if features:
            entry["features"] = list(features)
        self.result.append(entry)

    def _name(self, type_):
        """The name clients see. None stands for the object without members."""
        if isinstance(type_, Array):
            name = f"[{self._name(type_.element)}]"
            key = name
        elif isinstance(type_, Builtin):
            name = key = type_.seen_as
        else:
            key = id(type_)
            name = self.names.get(key) or str(sum(1 for known in self.names.values() if known.isdigit()))
        if key not in self.names:
            self.names[key] = name
            self.waiting.append(type_)
        return name

    def _type(self, type_):
        name = self._name(type_)
        if type_ is None:
            self._add({"name": name, "meta-type": "object", "members": []})
        elif isinstance(type_, Builtin):
            self._add({"name": name, "meta-type": "builtin", "json-type": type_.json_type})
        elif isinstance(type_, Array):
            self._add({"name": name, "meta-type": "array", "element-type": self._name(type_.element)})
        elif isinstance(type_, Enum):
            self._add({"name": name, "meta-type": "enum", "members": [_enum_value(value) for value in type_.values],
                       "values": [value.name for value in type_.values]})
        elif isinstance(type_, Alternate):
            self._add({"name": name, "meta-type": "alternate",
                       "members": [{"type": self._name(type_.value)}, {"type": self._null()}]})
        elif isinstance(type_, Struct):
            self._add({"name": name, "meta-type": "object", "members": self._members(type_.members)})
        elif isinstance(type_, Union):
            self._add({"name": name, "meta-type": "object", "members": self._members(type_.base),
                       "tag": type_.discriminator.name,
                       "variants": [{"case": value.name, "type": self._name(type_.branches.get(value.name))}
                                    for value in type_.discriminator.type.values]})

    def _null(self):
        return self._name(Builtin("null", "", "null", "null"))

    def _members(self, members):
        result = []
        for member in members:
            entry = {"name": member.name, "type": self._name(member.type)}
            if member.optional:
                entry["default"] = None
            if member.features:
                entry["features"] = member.features
            result.append(entry)
        return result


def _enum_value(value):
    return {"name": value.name, "features": value.features} if value.features else {"name": value.name}


def _header():
    text = header("What the schema says of itself.")
    text.add("#include <span>", "#include <string_view>", "", "#include <boost/json.hpp>", "",
             "namespace godwit::schema {", "")
    text.comment("The answer to query-qmp-schema. Made at the first call; safe to call from any thread.")
    text.add("const boost::json::array& qmp_schema();", "")
    text.comment("The names of all commands, in the order of the schema.")
    text.add("std::span<const std::string_view> command_names();", "")
    text.comment("The names of all events, in the order of the schema.")
    text.add("std::span<const std::string_view> event_names();", "", "}  // namespace godwit::schema")
    return str(text)


def _source(schema):
    text = source("What the schema says of itself.")
    text.add("#include <array>", "", "#include <godwit/schema/introspection.h>", "", "namespace godwit::schema {",
             "namespace {", "", "constexpr const char* schema_text[] = {")
    described = json.dumps(entries(schema), separators=(",", ":"))
    for start in range(0, len(described), _PIECE):
        text.add(f'    R"json({described[start:start + _PIECE]})json",')
    text.add("};", "")
    _names(text, "commands", schema.commands)
    _names(text, "events", schema.events)
    text.add("}  // namespace", "", "const boost::json::array& qmp_schema() {",
             "  static const boost::json::array schema = [] {", "    boost::json::stream_parser parser;",
             "    for (const char* piece : schema_text) parser.write(piece);", "    parser.finish();",
             "    return parser.release().as_array();", "  }();", "  return schema;", "}", "",
             "std::span<const std::string_view> command_names() { return commands; }", "",
             "std::span<const std::string_view> event_names() { return events; }", "",
             "}  // namespace godwit::schema")
    return str(text)


def _names(text, name, entries_):
    text.add(f"constexpr std::array<std::string_view, {len(entries_)}> {name} = {{")
    text.add(*[f'    "{entry.name}",' for entry in entries_], "};", "")

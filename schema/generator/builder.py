"""Resolves the names of a parsed schema and refuses what makes no sense."""

import re

from . import names
from .errors import SchemaError
from .model import (BUILTINS, Alternate, Array, Command, Enum, EnumValue, Event, Member, Schema, Section, Struct,
                    Union)

_KEYS = {
    "enum": {"data"},
    "struct": {"data", "base"},
    "union": {"data", "base", "discriminator"},
    "alternate": {"data"},
    "command": {"data", "returns", "boxed", "gen", "allow-oob", "features"},
    "event": {"data", "boxed"},
}
_REQUIRED = {"enum": {"data"}, "struct": {"data"}, "union": {"data", "base", "discriminator"}, "alternate": {"data"}}
# What stands behind a key, where the rest of this file relies on it; for a key of one kind of definition, or of all.
_SHAPES = {
    "boxed": bool, "gen": bool, "allow-oob": bool, "features": list, "discriminator": str,
    ("struct", "base"): str, ("struct", "data"): dict, ("union", "base"): (str, dict), ("union", "data"): dict,
    ("alternate", "data"): dict, ("enum", "data"): list, ("command", "data"): (str, dict), ("event", "data"): (str, dict),
}
_TYPE_KINDS = ("enum", "struct", "union", "alternate")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*$")


def build(text):
    """Makes a Schema of a SchemaText."""
    return _Builder(text).build()


class _Builder:
    def __init__(self, text):
        self.text = text
        self.schema = Schema(files=text.files)
        self.definitions = {}  # (is a type, name) to Definition, kind
        self.types = dict(BUILTINS)
        self.resolving = []

    def build(self):
        for definition in self.text.definitions:
            self._register(definition)
        entries = [self._entry(definition) for definition in self.text.definitions]
        self._divide_into_sections(entries)
        self._refuse_name_clashes()
        return self.schema

    def _divide_into_sections(self, entries):
        titles = self.text.sections or [("Schema", 0)]
        ends = [index for _, index in titles[1:]] + [len(entries)]
        for (title, begin), end in zip(titles, ends):
            self.schema.sections.append(Section(title, entries[begin:end]))

    def _refuse_name_clashes(self):
        seen = {}
        for type_ in self.schema.types:
            if type_.name in seen:
                raise SchemaError(type_.place, f"the C++ type '{type_.name}' would be defined twice, "
                                  f"see {seen[type_.name].place}")
            seen[type_.name] = type_

    # What every definition has.

    def _register(self, definition):
        body, kind = definition.body, self._kind(definition)
        name = body[kind]
        if not isinstance(name, str) or not _NAME.match(name):
            raise SchemaError(definition.place, f"'{name}' is not a name")
        key = (kind in _TYPE_KINDS, name)
        if key in self.definitions:
            raise SchemaError(definition.place, f"'{name}' is defined twice, see {self.definitions[key][0].place}")
        if kind in _TYPE_KINDS and name in BUILTINS:
            raise SchemaError(definition.place, f"'{name}' is a built-in type")
        for wanted in sorted(_REQUIRED.get(kind, set()) - set(body)):
            raise SchemaError(definition.place, f"{kind} '{name}' lacks '{wanted}'")
        for found, value in body.items():
            if found != kind and found not in _KEYS[kind]:
                raise SchemaError(body.key_places[found], f"{kind} '{name}' has an unknown key '{found}'")
            if not isinstance(value, _SHAPES.get((kind, found), _SHAPES.get(found, object))):
                raise SchemaError(body.key_places[found], f"'{found}' of {kind} '{name}' is of the wrong kind")
        if definition.doc is None:
            raise SchemaError(definition.place, f"{kind} '{name}' is not documented")
        if definition.doc.name != name:
            raise SchemaError(definition.doc.place, f"documentation is for '{definition.doc.name}', "
                              f"the definition below it for '{name}'")
        self.definitions[key] = (definition, kind)

    def _kind(self, definition):
        kinds = [kind for kind in _KEYS if kind in definition.body]
        if len(kinds) != 1:
            raise SchemaError(definition.place, "a definition has exactly one of the keys " + ", ".join(_KEYS))
        return kinds[0]

    def _entry(self, definition):
        kind = self._kind(definition)
        name = definition.body[kind]
        if kind == "command":
            return self._command(name, definition)
        if kind == "event":
            return self._event(name, definition)
        return self._type(name, definition.place)

    # Types.

    def _type(self, name, place):
        if name in self.types:
            return self.types[name]
        if (True, name) not in self.definitions:
            raise SchemaError(place, f"there is no type '{name}'")
        if name in self.resolving:
            chain = " -> ".join(self.resolving[self.resolving.index(name):] + [name])
            raise SchemaError(place, f"type '{name}' contains itself: {chain}")
        definition, kind = self.definitions[(True, name)]
        self.resolving.append(name)
        type_ = getattr(self, f"_{kind}")(name, definition)
        self.resolving.pop()
        self.types[name] = type_
        self.schema.types.append(type_)
        return type_

    def _type_reference(self, value, place):
        """'name', or ['name'] for an array of it."""
        if isinstance(value, list):
            if len(value) != 1 or not isinstance(value[0], str):
                raise SchemaError(place, "an array type is written as ['TYPE']")
            element = self._type(value[0], place)
            return Array(f"{value[0]}List", element)
        if not isinstance(value, str):
            raise SchemaError(place, "a type is a name in quotes, or such a name in brackets")
        return self._type(value, place)

    def _enum(self, name, definition):
        data = definition.body["data"]
        if not data:
            raise SchemaError(definition.place, f"enum '{name}' needs a list of values")
        values = []
        for item in data:
            value = (EnumValue(item.get("name"), "", self._features(item)) if isinstance(item, dict) else EnumValue(item))
            if not isinstance(value.name, str) or not _NAME.match(value.name):
                raise SchemaError(definition.place, f"'{value.name}' is not a name for a value of enum '{name}'")
            values.append(value)
        self._distinct([value.name for value in values], definition, "value")
        if len(values) > 256:
            raise SchemaError(definition.place, f"enum '{name}' has more than 256 values")
        self._attach_docs(definition, values)
        return Enum(name, definition.place, definition.doc, values=values)

    def _struct(self, name, definition):
        body = definition.body
        base = []
        if "base" in body:
            base_type = self._type(body["base"], body.key_places["base"])
            if not isinstance(base_type, Struct):
                raise SchemaError(body.key_places["base"], f"the base of '{name}' is not a struct")
            base = base_type.members
        own = self._members(body["data"], definition)
        self._attach_docs(definition, own)
        self._distinct([member.name for member in base + own], definition, "member")
        return Struct(name, definition.place, definition.doc, members=base + own)

    def _union(self, name, definition):
        body = definition.body
        if isinstance(body["base"], str):
            base_type = self._type(body["base"], body.key_places["base"])
            if not isinstance(base_type, Struct):
                raise SchemaError(body.key_places["base"], f"the base of '{name}' is not a struct")
            base = base_type.members
        else:
            base = self._members(body["base"], definition)
            self._attach_docs(definition, base)
        discriminator = next((member for member in base if member.name == body["discriminator"]), None)
        if discriminator is None or discriminator.optional or not isinstance(discriminator.type, Enum):
            raise SchemaError(body.key_places["discriminator"],
                              f"the discriminator of '{name}' is not a mandatory member of the base with an enum type")
        branches = {}
        known = [value.name for value in discriminator.type.values]
        for value, type_name in body["data"].items():
            place = body["data"].key_places[value]
            if value not in known:
                raise SchemaError(place, f"'{value}' is no value of '{discriminator.type.name}'")
            branch = self._type_reference(type_name, place)
            if not isinstance(branch, Struct):
                raise SchemaError(place, f"branch '{value}' of '{name}' is not a struct")
            self._distinct([member.name for member in base + branch.members], definition, "member")
            branches[value] = branch
        return Union(name, definition.place, definition.doc, base=base, discriminator=discriminator, branches=branches)

    def _alternate(self, name, definition):
        data = definition.body["data"]
        types = [self._type_reference(value, data.key_places[key]) for key, value in data.items()]
        values = [type_ for type_ in types if type_ is not BUILTINS["null"]]
        if len(types) != 2 or len(values) != 1:
            raise SchemaError(definition.place, f"alternate '{name}' is not of the form: a type or 'null'")
        if values[0] is not BUILTINS["str"]:
            raise SchemaError(definition.place, f"alternate '{name}': only 'str' can stand beside 'null'")
        return Alternate(name, definition.place, definition.doc, value=values[0])

    def _members(self, data, definition):
        members = []
        for key, value in data.items():
            place = data.key_places[key]
            features = []
            if isinstance(value, dict):
                for found in set(value) - {"type", "features"}:
                    raise SchemaError(place, f"member '{key}' has an unknown key '{found}'")
                features = self._features(value)
                value = value.get("type")
            member_name = key.removeprefix("*")
            if not _NAME.match(member_name):
                raise SchemaError(place, f"'{key}' is not a name for a member")
            type_ = self._type_reference(value, place)
            if type_ is BUILTINS["null"]:
                raise SchemaError(place, f"member '{member_name}' cannot be 'null'")
            members.append(Member(member_name, type_, key.startswith("*"), "", features))
        return members

    # Commands and events.

    def _command(self, name, definition):
        body = definition.body
        command = Command(name, definition.place, definition.doc, gen=body.get("gen", True),
                          allow_oob=body.get("allow-oob", False), features=self._features(body))
        command.arguments = self._arguments(definition, names.camel(name) + "Arguments")
        if "returns" in body:
            command.returns = self._type_reference(body["returns"], body.key_places["returns"])
        self.schema.commands.append(command)
        return command

    def _event(self, name, definition):
        event = Event(name, definition.place, definition.doc)
        event.data = self._arguments(definition, names.camel(name) + "EventData")
        self.schema.events.append(event)
        return event

    def _arguments(self, definition, implicit_name):
        """The type of `data`: a named one, or one made for the members given in place."""
        body = definition.body
        data = body.get("data")
        if data is None or data == {}:
            self._attach_docs(definition, [])
            return None
        if isinstance(data, str):
            self._attach_docs(definition, [])
            type_ = self._type(data, body.key_places["data"])
            if not isinstance(type_, (Struct, Union)):
                raise SchemaError(body.key_places["data"], f"'{data}' is not a struct")
            if isinstance(type_, Union) and not body.get("boxed", False):
                raise SchemaError(body.key_places["data"], f"the union '{data}' needs 'boxed': true")
            return type_
        if body.get("boxed", False):
            raise SchemaError(body.key_places["boxed"], "'boxed' needs the name of a type as 'data'")
        members = self._members(data, definition)
        self._attach_docs(definition, members)
        struct = Struct(implicit_name, definition.place, definition.doc, True, members=members)
        self.schema.types.append(struct)
        return struct

    # Small checks.

    def _features(self, body):
        features = body.get("features", [])
        if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
            raise SchemaError(body.place, "'features' is a list of names")
        return features

    def _distinct(self, given, definition, what):
        seen = {}
        for name in given:
            if names.snake(name) in seen:
                raise SchemaError(definition.place, f"{what} '{name}' clashes with '{seen[names.snake(name)]}'")
            seen[names.snake(name)] = name

    def _attach_docs(self, definition, items):
        doc = definition.doc
        for item in items:
            if not doc.members.get(item.name):
                raise SchemaError(definition.place, f"'{item.name}' of '{doc.name}' is not documented")
            item.doc = doc.members[item.name]
        known = {item.name for item in items}
        for name in doc.members:
            if name not in known:
                raise SchemaError(doc.member_places[name], f"documentation of '{doc.name}' names '{name}', "
                                  "which it does not have")

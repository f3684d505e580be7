"""What a schema means once names are resolved: types, commands and events."""

from dataclasses import dataclass, field

from .docs import DocBlock
from .errors import Place


@dataclass(eq=False)
class Type:
    """Common part of all types. `name` is the name in the schema."""

    name: str

    def parts(self):
        """The types this one is made of."""
        return []

    def holds_json(self):
        """Whether a value carries JSON of any shape, so that its C++ type needs the JSON library."""
        return any(part.holds_json() for part in self.parts())


@dataclass(eq=False)
class Builtin(Type):
    cpp: str = ""
    json_type: str = ""  # as introspection names it
    seen_as: str = ""  # introspection knows one kind of integer

    def holds_json(self):
        return self.name == "any"


@dataclass(eq=False)
class Array(Type):
    element: Type = None

    def parts(self):
        return [self.element]


@dataclass(eq=False)
class Defined(Type):
    """A type that stands in the schema by name, or the unnamed one of a command's arguments."""

    place: Place = None
    doc: DocBlock = None
    implicit: bool = False


@dataclass
class EnumValue:
    name: str
    doc: str = ""
    features: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Enum(Defined):
    values: list[EnumValue] = field(default_factory=list)


@dataclass
class Member:
    name: str
    type: Type
    optional: bool = False
    doc: str = ""
    features: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Struct(Defined):
    """`members` includes those of the base, in front."""

    members: list[Member] = field(default_factory=list)

    def parts(self):
        return [member.type for member in self.members]


@dataclass(eq=False)
class Union(Defined):
    """An object whose further members depend on the value of one of them, the discriminator."""

    base: list[Member] = field(default_factory=list)
    discriminator: Member = None
    branches: dict[str, Struct] = field(default_factory=dict)  # enum value to members; no entry: no further members

    def plain_members(self):
        return [member for member in self.base if member is not self.discriminator]

    def parts(self):
        return [member.type for member in self.base] + list(self.branches.values())


@dataclass(eq=False)
class Alternate(Defined):
    """A value or null."""

    value: Type = None

    def parts(self):
        return [self.value]


@dataclass
class Command:
    name: str
    place: Place
    doc: DocBlock
    arguments: Type | None = None
    returns: Type | None = None
    gen: bool = True  # false: arguments and result are handed over as JSON, unchecked
    allow_oob: bool = False
    features: list[str] = field(default_factory=list)


@dataclass
class Event:
    name: str
    place: Place
    doc: DocBlock
    data: Type | None = None


@dataclass
class Section:
    title: str
    entries: list = field(default_factory=list)


@dataclass
class Schema:
    """The whole schema, everything in the order of the files."""

    types: list[Defined] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    files: list = field(default_factory=list)

    def of(self, kind):
        return [type_ for type_ in self.types if isinstance(type_, kind)]

    def in_order(self):
        """The types, each after all it is made of."""
        done, order = set(), []

        def visit(type_):
            if id(type_) in done:
                return
            done.add(id(type_))
            for part in type_.parts():
                visit(part)
            if isinstance(type_, Defined):
                order.append(type_)

        for type_ in self.types:
            visit(type_)
        return order


def _builtins():
    def integer(name, cpp):
        return Builtin(name, cpp, "int", "int")

    return [
        Builtin("str", "std::string", "string", "str"),
        Builtin("bool", "bool", "boolean", "bool"),
        Builtin("number", "double", "number", "number"),
        Builtin("any", "boost::json::value", "value", "any"),
        Builtin("null", "std::nullptr_t", "null", "null"),
        integer("int", "std::int64_t"),
        *[integer(f"int{bits}", f"std::int{bits}_t") for bits in (8, 16, 32, 64)],
        *[integer(f"uint{bits}", f"std::uint{bits}_t") for bits in (8, 16, 32, 64)],
        integer("size", "std::uint64_t"),
    ]


BUILTINS = {builtin.name: builtin for builtin in _builtins()}

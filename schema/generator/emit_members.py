"""members.h: walking over the members of any struct, and lists of all types."""

from . import names
from .cpp import header, quoted
from .model import Alternate, Enum, Struct, Union


def emit(schema):
    text = header("The members of each struct, one after the other, for code that treats all alike.")
    text.add("#include <concepts>", "#include <type_traits>", "", "#include <godwit/schema/raw_types.h>",
             "#include <godwit/schema/type_list.h>", "#include <godwit/schema/types.h>", "",
             "namespace godwit::schema {", "",
             "/// Calls visitor(name in the schema, reference to the member) for each member, in schema order.",
             "/// Optional ones are visited as std::optional, set or not.", "template <typename S, typename Visitor>",
             "void visit_members(S& value, Visitor&& visitor) = delete;")
    structs = schema.of(Struct)
    for struct in structs:
        text.add("", "template <typename S, typename Visitor>",
                 f"  requires std::same_as<std::remove_const_t<S>, {struct.name}>",
                 f"void visit_members([[maybe_unused]] S& value, [[maybe_unused]] Visitor&& visitor) {{")
        text.add(*[f"  visitor({quoted(member.name)}, value.{names.snake(member.name)});" for member in struct.members],
                 "}")
    _list(text, "AllEnums", schema.of(Enum))
    _list(text, "AllStructs", structs)
    _list(text, "AllUnions", schema.of(Union))
    _list(text, "AllAlternates", schema.of(Alternate))
    return {"members.h": str(text.add("", "}  // namespace godwit::schema"))}


def _list(text, name, types):
    text.add("", f"using {name} = TypeList<")
    text.add(*[f"    {type_.name}," for type_ in types[:-1]], f"    {types[-1].name}>;" if types else "    >;")

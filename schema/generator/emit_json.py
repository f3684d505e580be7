"""json.h and json.cpp: the types of the schema to JSON and back."""

from . import names
from .cpp import branch_types, enumerator, header, quoted, source, type_name
from .model import Alternate, Struct, Union


def emit(schema):
    return {"json.h": _header(schema), "json.cpp": _source(schema)}


def _header(schema):
    text = header("The types of the control interface as JSON: to_json(value) and from_json<T>(json).")
    text.add("#include <godwit/schema/json_support.h>", "#include <godwit/schema/raw_types.h>",
             "#include <godwit/schema/types.h>", "", "// The two templates are in json_support.h; this says what they need "
             "to know of each type.", "namespace godwit::schema::detail {", "")
    for type_ in schema.of((Struct, Union)):
        text.add(f"void write_members(ObjectWriter& writer, const {type_.name}& value);",
                 f"Result<> read_members(ObjectReader& reader, {type_.name}& value);")
    for type_ in schema.of(Alternate):
        text.add(f"Result<> read(const Place& place, const boost::json::value& json, {type_.name}& value);")
    text.add("", "}  // namespace godwit::schema::detail", "", "namespace godwit::schema {", "")
    for type_ in schema.of(Alternate):
        text.add(f"boost::json::value to_json(const {type_.name}& value);")
    return str(text.add("", "}  // namespace godwit::schema"))


def _source(schema):
    text = source("Reading and writing the members of each struct.")
    text.add("#include <godwit/schema/json.h>", "", "namespace godwit::schema::detail {")
    for type_ in schema.of((Struct, Union)):
        if isinstance(type_, Struct):
            _struct(text, type_)
        else:
            _union(text, type_)
    for type_ in schema.of(Alternate):
        text.add("", f"Result<> read(const Place& place, const boost::json::value& json, {type_.name}& value) {{",
                 f"  return read_or_null(place, json, value.value, {quoted(type_.name)});", "}")
    text.add("", "}  // namespace godwit::schema::detail", "", "namespace godwit::schema {")
    for type_ in schema.of(Alternate):
        text.add("", f"boost::json::value to_json(const {type_.name}& value) {{",
                 "  if (!value.value) return nullptr;", "  return to_json(*value.value);", "}")
    return str(text.add("", "}  // namespace godwit::schema"))


def _signatures(type_, used=True):
    mark = "" if used else "/*value*/"
    name = "value" if used else mark
    return (f"void write_members(ObjectWriter& {'writer' if used else '/*writer*/'}, const {type_.name}& {name}) {{",
            f"Result<> read_members(ObjectReader& {'reader' if used else '/*reader*/'}, {type_.name}& {name}) {{")


def _write(member, owner="value"):
    return f"  writer.member({quoted(member.name)}, {owner}.{names.snake(member.name)});"


def _read(member, owner="value"):
    kind = "optional" if member.optional else "required"
    return f"  GODWIT_TRY(reader.{kind}({quoted(member.name)}, {owner}.{names.snake(member.name)}));"


def _struct(text, struct):
    write, read = _signatures(struct, used=bool(struct.members))
    text.add("", write, *[_write(member) for member in struct.members], "}")
    text.add("", read, *[_read(member) for member in struct.members], "  return {};", "}")


def _union(text, union):
    write, read = _signatures(union)
    tag = union.discriminator
    tag_name = names.snake(tag.name)
    text.add("", write)
    text.add(*[f"  writer.member({quoted(tag.name)}, value.{tag_name}());" if member is tag else _write(member)
               for member in union.base])
    text.add("  std::visit([&writer](const auto& members) { write_members(writer, members); }, value.u);", "}")
    text.add("", read, f"  {type_name(tag.type)} tag{{}};")
    text.add(*[f"  GODWIT_TRY(reader.required({quoted(tag.name)}, tag));" if member is tag else _read(member)
               for member in union.base])
    text.add("  switch (tag) {")
    for index, (value, _) in enumerate(branch_types(union)):
        text.add(f"    case {enumerator(tag.type, value)}: return read_members(reader, value.u.emplace<{index}>());")
    text.add("  }", "  return {};", "}")



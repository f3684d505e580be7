"""commands.h: one tag type for each command and event."""

from . import names
from .cpp import arguments_name, header, quoted, returns_name, type_name


def emit(schema):
    text = header("The commands and events of the control interface, one tag type each.")
    text.add("#include <string_view>", "#include <type_traits>", "", "#include <boost/json.hpp>", "", "#include <godwit/schema/json.h>",
             "#include <godwit/schema/raw_types.h>", "#include <godwit/schema/type_list.h>",
             "#include <godwit/schema/types.h>", "", "namespace godwit::schema {", "", "namespace command {")
    for command in schema.commands:
        text.blank()
        text.comment(command.doc.text)
        text.add(f"struct {names.tag(command.name)} {{",
                 f"  static constexpr std::string_view name = {quoted(command.name)};",
                 f"  using Arguments = {arguments_name(command)};", f"  using Returns = {returns_name(command)};",
                 f"  static constexpr bool allow_oob = {str(command.allow_oob).lower()};", "};")
    text.add("", "}  // namespace command", "", "namespace event {")
    for event in schema.events:
        text.blank()
        text.comment(event.doc.text)
        text.add(f"struct {names.tag(event.name)} {{",
                 f"  static constexpr std::string_view name = {quoted(event.name)};",
                 f"  using Data = {type_name(event.data) if event.data else 'Nothing'};", "};")
    text.add("", "}  // namespace event")
    _list(text, "AllCommands", "command", schema.commands)
    _list(text, "AllEvents", "event", schema.events)
    text.add("", "/// An event as a client receives it, but for its timestamp. Without data there is no member `data`.",
             "template <typename Event>", "boost::json::object make_event(const typename Event::Data& data = {}) {",
             "  boost::json::object object;", '  object["event"] = Event::name;',
             '  if constexpr (!std::is_same_v<typename Event::Data, Nothing>) object["data"] = to_json(data);',
             "  return object;", "}")
    return {"commands.h": str(text.add("", "}  // namespace godwit::schema"))}


def _list(text, name, namespace, entries):
    text.add("", f"using {name} = TypeList<")
    tags = [f"    {namespace}::{names.tag(entry.name)}" for entry in entries]
    text.add(*[tag + "," for tag in tags[:-1]], *[tag + ">;" for tag in tags[-1:]])
    if not tags:
        text.add("    >;")

#include "cli/qmp/printer.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

#include "cli/json_text.h"
#include "cli/qmp/session.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

constexpr std::string_view usage =
    "COMMAND key=value...      types come from the schema; a.b=1 for nested members, key='two words', "
    "key={JSON}\n"
    "exec-oob COMMAND ...      runs it out of band, before those that wait\n"
    "{\"execute\": \"COMMAND\"}    the same in JSON\n"
    "help COMMAND              its arguments\n"
    "Tab completes, Up goes back in the history (a line that starts with a space is not kept), Ctrl-R "
    "searches it, Ctrl-C clears the line.\n"
    "/quit or Ctrl-D leaves this shell; the command 'quit' ends the virtual machine.\n";

/// What a monitor says, without what a terminal would obey.
std::string visible(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

}  // namespace

std::string Printer::answer(const json::object& answer, std::string_view command,
                            const SchemaIndex& schema) const {
  auto refused = refusal_of(answer);
  if (!refused) return pretty(answer.at("return"));
  if (refused->error_class() != ErrorClass::command_not_found) return error(*refused);
  std::vector<std::string_view> names;
  for (const auto& [name, known] : schema.commands()) names.push_back(name);
  const auto near = nearest(command, names);
  return error(std::move(*refused).advise(near.empty() ? "'help' lists the commands" : "use " + near + "?"));
}

std::string Printer::event(const QmpEvent& event) const {
  const auto microseconds = event.time.count();
  const auto seconds = static_cast<std::time_t>(microseconds / 1'000'000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  auto text = styled(fmt::format("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec,
                                 microseconds / 1000 % 1000),
                     Style::dim, canvas_) +
              " " + styled(visible(event.name), Style::accent, canvas_);
  if (!event.data.empty()) text += " " + compact(event.data);
  return text + "\n";
}

std::string Printer::error(const Error& error) const {
  return styled("error:", Style::bad, canvas_) + " " + visible(error.explain()) + "\n";
}

std::string Printer::members(const Type& object) const {
  std::string text;
  const auto line = [&text, this](const Member& member, std::string_view when) {
    text += fmt::format("  {} {}{}{}\n", styled(fmt::format("{:<24}", member.name), Style::bold, canvas_),
                        describe(*member.type), member.optional ? ", optional" : "", when);
  };
  for (const auto& member : object.members) line(member, "");
  for (const auto& variant : object.variants)
    for (const auto& member : variant.type->members)
      line(member, fmt::format("  (with {}={})", object.tag, variant.tag_value));
  return text;
}

std::string Printer::help(std::string_view name, const SchemaIndex& schema) const {
  if (const auto* command = schema.command(name)) {
    auto text =
        styled(name, Style::accent, canvas_) + (command->out_of_band ? ", also out of band" : "") + "\n";
    const auto arguments = members(*command->arguments);
    text += arguments.empty() ? "  no arguments\n" : arguments;
    if (command->open) text += "  and the properties of the device\n";
    const auto returned = members(*command->returns);
    if (!returned.empty()) return text + "returns\n" + returned;
    if (command->returns->kind != Type::Kind::object) text += "returns " + describe(*command->returns) + "\n";
    return text;
  }
  if (const auto found = schema.events().find(name); found != schema.events().end()) {
    const auto data = members(*found->second);
    return styled(name, Style::accent, canvas_) + ", an event\n" + (data.empty() ? "  no data\n" : data);
  }
  std::vector<std::string_view> names;
  for (const auto& [known, command] : schema.commands()) names.push_back(known);
  const auto near = nearest(name, names);
  return error(Error(fmt::format("there is no command or event '{}'", name))
                   .advise(near.empty() ? "'help' lists the commands" : "use " + near + "?"));
}

std::string Printer::help(const SchemaIndex& schema) const {
  std::vector<std::string> names;
  for (const auto& [name, command] : schema.commands()) names.push_back(name);
  return in_columns(names, canvas_.columns) + "\n" + std::string(usage);
}

std::string in_columns(const std::vector<std::string>& texts, int columns) {
  int widest = 1;
  for (const auto& text : texts) widest = std::max(widest, columns_of(text));
  const auto across = static_cast<std::size_t>(std::max(1, (columns - 1) / (widest + 2)));
  const std::size_t rows = (texts.size() + across - 1) / across;
  std::string out;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t at = row; at < texts.size(); at += rows) {
      out += texts[at];
      if (at + rows < texts.size())
        out.append(static_cast<std::size_t>(widest + 2 - columns_of(texts[at])), ' ');
    }
    out += "\n";
  }
  return out;
}

json::object to_json(const QmpEvent& event) {
  json::object message{{"event", event.name}};
  if (!event.data.empty()) message["data"] = event.data;
  message["timestamp"] = {{"seconds", event.time.count() / 1'000'000},
                          {"microseconds", event.time.count() % 1'000'000}};
  return message;
}

}  // namespace godwit::cli::qmp

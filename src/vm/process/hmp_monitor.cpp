// From the line to the command, and `help`.
#include <algorithm>
#include <cctype>
#include <vector>

#include "base/fail.h"
#include "vm/process/hmp.h"

namespace godwit::vm {

namespace {

using Commands = std::vector<const HumanCommand*>;

Commands sorted(std::initializer_list<std::span<const HumanCommand>> groups) {
  Commands all;
  for (const auto group : groups)
    for (const HumanCommand& command : group) all.push_back(&command);
  std::ranges::sort(all, {}, &HumanCommand::name);
  return all;
}

const Commands& infos() {
  static const Commands all = sorted({human_machine_infos(), human_migration_infos()});
  return all;
}

std::string line_of(std::string_view prefix, const HumanCommand& command) {
  return fmt::format("{}{} {} -- {}\n", prefix, command.name, command.parameters, command.help);
}

const HumanCommand* find(const Commands& commands, std::string_view word) {
  const auto found =
      std::ranges::find_if(commands, [&](const HumanCommand* command) { return command->is_called(word); });
  return found == commands.end() ? nullptr : *found;
}

std::string list(std::string_view prefix, const Commands& commands) {
  std::string text;
  for (const HumanCommand* command : commands) text += line_of(prefix, *command);
  return text;
}

Result<> help(HumanCall& call);

constexpr HumanCommand own_commands[] = {
    {"help|?", "s? s?", "[cmd]", "show the help", help},
    {"info", "s?", "[subcommand]", "show various information about the system state", nullptr},
};

const Commands& commands() {
  static const Commands all =
      sorted({own_commands, human_run_commands(), human_migration_commands(), human_memory_commands()});
  return all;
}

Result<> help(HumanCall& call) {
  const auto& words = call.arguments.words;
  if (words.empty()) {
    call.text += list("", commands());
    return {};
  }
  const bool of_infos = words[0] == "info";
  if (of_infos && words.size() == 1) {
    call.text += list("info ", infos());
    return {};
  }
  const std::string_view word = of_infos ? words[1] : words[0];
  if (const HumanCommand* const command = find(of_infos ? infos() : commands(), word))
    call.text += line_of(of_infos ? "info " : "", *command);
  else
    call.print("unknown command: '{}{}'\n", of_infos ? "info " : "", word);
  return {};
}

/// The name ends at a blank, or where a format begins.
std::string_view take_name(std::string_view& line) {
  skip_blanks(line);
  const auto ends = [](char c) { return std::isspace(static_cast<unsigned char>(c)) || c == '/'; };
  const auto end = std::ranges::find_if(line, ends);
  const std::string_view name = line.substr(0, static_cast<std::size_t>(end - line.begin()));
  line.remove_prefix(name.size());
  return name;
}

}  // namespace

bool HumanCommand::is_called(std::string_view word) const {
  std::string_view rest = name;
  while (true) {
    const std::size_t bar = rest.find('|');
    if (rest.substr(0, bar) == word) return true;
    if (bar == std::string_view::npos) return false;
    rest.remove_prefix(bar + 1);
  }
}

std::string HumanMonitor::execute(std::string_view line, qmp::Context& context) {
  std::string answer;
  for (const char c : run(line, context)) {
    if (c == '\n') answer += '\r';
    answer += c;
  }
  return answer;
}

std::string HumanMonitor::run(std::string_view line, qmp::Context& context) {
  const std::string_view name = take_name(line);
  if (name.empty()) return "";
  if (name != "info") {
    const HumanCommand* const command = find(commands(), name);
    return command ? run(*command, name, line, context) : fmt::format("unknown command: '{}'\n", name);
  }
  const std::string_view what = take_name(line);
  if (what.empty()) return list("info ", infos());
  const std::string typed = fmt::format("info {}", what);
  const HumanCommand* const command = find(infos(), what);
  return command ? run(*command, typed, line, context) : fmt::format("unknown command: '{}'\n", typed);
}

std::string HumanMonitor::run(const HumanCommand& command, std::string_view typed, std::string_view arguments,
                              qmp::Context& context) {
  const auto parsed = parse_human_arguments(command.name, command.syntax, arguments, format_);
  if (!parsed) return fmt::format("{}\nTry \"help {}\" for more information\n", parsed.error().what(), typed);
  format_ = parsed->format;
  std::string text;
  HumanCall call{services_, context, *parsed, text};
  if (auto done = command.run(call); !done) text += fmt::format("Error: {}\n", done.error().what());
  return text;
}

}  // namespace godwit::vm

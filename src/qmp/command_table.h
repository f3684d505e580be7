// Which function answers which command.
#pragma once

#include <functional>
#include <map>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <godwit/result.h>
#include <godwit/schema/json.h>

#include "qmp/context.h"

namespace godwit::qmp {

/// Filled once, before the monitors start; read-only, and thus safe from any thread, afterwards.
class CommandTable {
 public:
  using Handler =
      std::function<Result<boost::json::value>(const boost::json::object& arguments, Context& context)>;
  struct Command {
    std::string_view name;
    bool allow_oob = false;
    Handler run;
  };

  /// Registers what answers Command, a tag of <godwit/schema/commands.h>. `handler` takes
  /// (Command::Arguments&&, Context&), (Command::Arguments&&) or (), and returns Result<Command::Returns>.
  /// It runs on the main loop; if the command allows it and the client asks for it, on the monitor's thread.
  /// Registering a command again replaces the handler.
  template <typename Tag, typename Function>
  void on(Function handler) {
    add({Tag::name, Tag::allow_oob, typed<Tag>(std::move(handler))});
  }

  /// The same for a handler that reads and makes JSON itself. `name` must live as long as the table.
  void add(Command command);

  /// Null if nobody answers `name`.
  const Command* find(std::string_view name) const;

  /// The commands of the schema that nobody answers, in its order.
  std::vector<std::string_view> missing() const;

 private:
  template <typename Tag, typename Function>
  static Handler typed(Function handler) {
    using Arguments = typename Tag::Arguments;
    return [handler = std::move(handler)](
               const boost::json::object& json,
               [[maybe_unused]] Context& context) mutable -> Result<boost::json::value> {
      GODWIT_ASSIGN([[maybe_unused]] Arguments arguments, schema::from_json<Arguments>(json));
      Result<typename Tag::Returns> result;
      if constexpr (std::is_invocable_v<Function&, Arguments&&, Context&>)
        result = handler(std::move(arguments), context);
      else if constexpr (std::is_invocable_v<Function&, Arguments&&>)
        result = handler(std::move(arguments));
      else
        result = handler();
      if (!result) return std::unexpected(std::move(result).error());
      return schema::to_json(*result);
    };
  }

  std::map<std::string_view, Command> commands_;
};

}  // namespace godwit::qmp

// What a monitor says of itself in query-qmp-schema, as an index: commands, their arguments, their types.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

namespace godwit::cli::qmp {

struct Type;

/// A member of an object, or an argument of a command.
struct Member {
  std::string name;
  const Type* type = nullptr;
  bool optional = false;
};

struct Type {
  enum class Kind : std::uint8_t {
    string,
    integer,
    number,
    boolean,
    null,
    any,
    object,
    array,
    enumeration,
    alternate
  };
  struct Variant {
    std::string tag_value;
    const Type* type = nullptr;
  };

  Kind kind = Kind::any;
  std::vector<Member> members;         ///< of an object
  std::string tag;                     ///< the member of an object that chooses one of `variants`
  std::vector<Variant> variants;       ///< members an object has besides, by the value of its tag
  const Type* element = nullptr;       ///< of an array
  std::vector<std::string> values;     ///< of an enumeration
  std::vector<const Type*> choices{};  ///< of an alternate
};

struct Command {
  std::string name;
  const Type* arguments = nullptr;  ///< an object
  const Type* returns = nullptr;
  bool out_of_band = false;
  bool open = false;  ///< takes arguments that the schema does not list
};

/// The text of the member of that name, empty if it is not given.
using TagLookup = std::function<std::string(std::string_view)>;

/// Pointers into it are good as long as it lives, moved or not.
class SchemaIndex {
 public:
  /// From the return value of query-qmp-schema. Kinds of entries we do not know are taken for "any".
  static Result<SchemaIndex> build(const boost::json::value& schema);

  /// nullptr: there is no such command.
  const Command* command(std::string_view name) const;
  const std::map<std::string, Command, std::less<>>& commands() const { return commands_; }
  /// The data of each event, by its name.
  const std::map<std::string, const Type*, std::less<>>& events() const { return events_; }

 private:
  SchemaIndex() = default;

  std::map<std::string, std::unique_ptr<Type>, std::less<>> types_;
  std::map<std::string, Command, std::less<>> commands_;
  std::map<std::string, const Type*, std::less<>> events_;
};

/// The type of what nobody describes.
const Type& any_type();

/// The members an object has if its tag says what `tags` tells; of all variants if it says nothing.
std::vector<const Member*> members_of(const Type& object, const TagLookup& tags);

/// "string", "int", "on|off|auto", "[object]", "string|null". Long lists are cut.
std::string describe(const Type& type);

/// The name nearest to `wrong`; empty if none is near.
std::string nearest(std::string_view wrong, const std::vector<std::string_view>& names);

}  // namespace godwit::cli::qmp

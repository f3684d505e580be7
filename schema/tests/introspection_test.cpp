// What the schema says of itself is complete and hangs together.
#include <gtest/gtest.h>
#include <map>
#include <set>

#include <godwit/schema/commands.h>
#include <godwit/schema/introspection.h>

namespace godwit::schema {
namespace {

std::map<std::string, boost::json::object> by_name() {
  std::map<std::string, boost::json::object> entries;
  for (const auto& entry : qmp_schema()) {
    const auto& object = entry.as_object();
    const auto [position, is_new] = entries.emplace(std::string(object.at("name").as_string()), object);
    EXPECT_TRUE(is_new) << position->first << " is described twice";
  }
  return entries;
}

TEST(Introspection, IsWhatItsOwnTypesSay) {
  const auto read = from_json<std::vector<SchemaInfo>>(boost::json::value(qmp_schema()));
  ASSERT_TRUE(read) << read.error().what();
  EXPECT_EQ(to_json(*read), boost::json::value(qmp_schema()));
}

TEST(Introspection, HasEveryCommandAndEvent) {
  const auto entries = by_name();
  std::size_t commands = 0;
  for_each_type(AllCommands{}, [&]<typename Command>() {
    ASSERT_TRUE(entries.contains(std::string(Command::name))) << Command::name;
    const auto& entry = entries.at(std::string(Command::name));
    EXPECT_EQ(entry.at("meta-type"), "command");
    EXPECT_EQ(entry.contains("allow-oob"), Command::allow_oob) << Command::name;
    EXPECT_EQ(command_names()[commands++], Command::name);
  });
  EXPECT_EQ(commands, command_names().size());
  std::size_t events = 0;
  for_each_type(AllEvents{}, [&]<typename Event>() {
    ASSERT_TRUE(entries.contains(std::string(Event::name))) << Event::name;
    EXPECT_EQ(entries.at(std::string(Event::name)).at("meta-type"), "event");
    EXPECT_EQ(event_names()[events++], Event::name);
  });
  EXPECT_EQ(events, event_names().size());
}

void collect_types(const boost::json::object& entry, std::set<std::string>& types) {
  for (const char* key : {"arg-type", "ret-type", "element-type", "type"})
    if (const auto* name = entry.if_contains(key)) types.emplace(name->as_string());
  for (const char* key : {"members", "variants"}) {
    const auto* list = entry.if_contains(key);
    if (list == nullptr) continue;
    for (const auto& item : list->as_array()) collect_types(item.as_object(), types);
  }
}

TEST(Introspection, EveryTypeThatIsUsedIsDescribedAndTheOtherWayRound) {
  const auto entries = by_name();
  std::set<std::string> used;
  std::set<std::string> described;
  for (const auto& [name, entry] : entries) {
    collect_types(entry, used);
    if (entry.at("meta-type") != "command" && entry.at("meta-type") != "event") described.insert(name);
  }
  EXPECT_EQ(used, described);
}

TEST(Introspection, LooksAsClientsExpect) {
  const auto entries = by_name();
  const auto& migrate = entries.at(std::string(entries.at("migrate").at("arg-type").as_string()));
  const std::string channels(migrate.at("members").at(5).at("type").as_string());  // "[NUMBER]"
  EXPECT_TRUE(channels.starts_with('['));
  EXPECT_EQ(boost::json::value(migrate.at("members")), boost::json::parse(R"([
      {"name": "uri", "type": "str"}, {"name": "blk", "type": "bool", "default": null},
      {"name": "inc", "type": "bool", "default": null}, {"name": "detach", "type": "bool", "default": null},
      {"name": "resume", "type": "bool", "default": null},
      {"name": "channels", "type": ")" + channels + R"(", "default": null}])"));
  EXPECT_EQ(boost::json::value(entries.at("int")),
            boost::json::parse(R"({"name": "int", "meta-type": "builtin", "json-type": "int"})"));
  const auto& address =
      entries.at(std::string(entries.at(std::string(entries.at("MIGRATION").at("arg-type").as_string()))
                                 .at("members")
                                 .at(0)
                                 .at("type")
                                 .as_string()));
  EXPECT_EQ(address.at("meta-type"), "enum");
  EXPECT_EQ(address.at("values").at(1), "setup");
  EXPECT_EQ(address.at("members").at(1), boost::json::parse(R"({"name": "setup"})"));
}

}  // namespace
}  // namespace godwit::schema

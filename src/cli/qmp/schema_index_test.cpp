#include "cli/qmp/schema_index.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/testing/schemas.h"

namespace godwit::cli::qmp {
namespace {

using Kind = Type::Kind;
using ::testing::HasSubstr;

const Member& member(const Type& type, std::string_view name) {
  const auto found = std::ranges::find(type.members, name, &Member::name);
  if (found == type.members.end()) throw std::runtime_error(std::string(name));
  return *found;
}

TEST(SchemaIndex, KnowsTheCommandsOfBothMonitors) {
  for (const auto* schema : {&qemu_schema(), &own_schema()}) {
    const auto* migrate = schema->command("migrate");
    ASSERT_NE(migrate, nullptr);
    EXPECT_EQ(member(*migrate->arguments, "uri").type->kind, Kind::string);
    EXPECT_FALSE(member(*migrate->arguments, "uri").optional);
    EXPECT_TRUE(member(*migrate->arguments, "resume").optional);
    EXPECT_FALSE(migrate->out_of_band);
    EXPECT_TRUE(schema->command("migrate-pause")->out_of_band);
    EXPECT_TRUE(schema->events().contains("MIGRATION_PASS"));
    EXPECT_EQ(schema->command("no-such"), nullptr);
  }
  EXPECT_EQ(qemu_schema().commands().size(), 216u);
  EXPECT_TRUE(qemu_schema().command("device_add")->open);
}

TEST(SchemaIndex, DescribesTypesInAWord) {
  const auto& set = *own_schema().command("migrate-set-parameters")->arguments;
  EXPECT_EQ(describe(*member(set, "downtime-limit").type), "int");
  EXPECT_EQ(describe(*member(set, "multifd-compression").type), "none|zlib|zstd");
  EXPECT_EQ(describe(*member(set, "tls-creds").type), "string|null");
  EXPECT_EQ(describe(*own_schema().command("migrate-set-capabilities")->arguments->members[0].type),
            "[object]");
  EXPECT_EQ(describe(*member(*qemu_schema().command("qom-set")->arguments, "value").type), "any");
}

TEST(SchemaIndex, TheTagChoosesTheMembersOfAUnion) {
  const auto& object_add = *qemu_schema().command("object-add")->arguments;
  const auto names = [&object_add](const std::string& tag) {
    std::vector<std::string> found;
    for (const auto* each : members_of(object_add, [&tag](std::string_view) { return tag; }))
      found.push_back(each->name);
    return found;
  };
  EXPECT_THAT(names("memory-backend-file"), ::testing::IsSupersetOf({"qom-type", "id", "size", "mem-path"}));
  EXPECT_THAT(names("rng-random"), ::testing::Not(::testing::Contains("mem-path")));
  EXPECT_THAT(names(""), ::testing::IsSupersetOf({"mem-path", "filename"}));
}

TEST(SchemaIndex, WhatIsNoSchemaIsRefusedAndWhatIsNewIsAny) {
  EXPECT_FALSE(SchemaIndex::build(boost::json::parse("{}")));
  EXPECT_THAT(SchemaIndex::build(boost::json::parse("[1]")).error().what(), HasSubstr("without a name"));
  const auto schema = SchemaIndex::build(boost::json::parse(
      R"([{"name": "c", "meta-type": "command", "arg-type": "1", "ret-type": "gone"},
          {"name": "1", "meta-type": "object", "members": [{"name": "m", "type": "2"}, {"name": "l", "type": "3"}]},
          {"name": "2", "meta-type": "of-next-year"},
          {"name": "3", "meta-type": "array", "element-type": "3"}])"));
  ASSERT_TRUE(schema);
  const auto& arguments = *schema->command("c")->arguments;
  EXPECT_EQ(member(arguments, "m").type->kind, Kind::any);
  EXPECT_EQ(describe(*member(arguments, "l").type), "[array]");  // a list of itself ends too
}

TEST(SchemaIndex, FindsTheNearestName) {
  EXPECT_EQ(nearest("max-bandwith", {"max-bandwidth", "downtime-limit"}), "max-bandwidth");
  EXPECT_EQ(nearest("query", {"max-bandwidth", "downtime-limit"}), "");
  EXPECT_EQ(nearest("", {"a"}), "a");
  EXPECT_EQ(nearest("x", {}), "");
}

}  // namespace
}  // namespace godwit::cli::qmp

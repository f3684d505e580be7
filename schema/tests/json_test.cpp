// Reading and printing: the rules the recorded samples do not reach.
#include <gtest/gtest.h>

#include <godwit/schema/commands.h>

namespace godwit::schema {
namespace {

boost::json::value parse(const char* text) {
  return boost::json::parse(text);
}

template <typename T>
std::string refusal(const char* text) {
  const auto result = from_json<T>(parse(text));
  return result ? "accepted" : result.error().what();
}

TEST(Json, MissingArgumentsAreNoArguments) {
  EXPECT_EQ(refusal<Nothing>("{}"), "accepted");
  EXPECT_EQ(refusal<Nothing>(R"({"x": 1})"), "Parameter 'x' is unexpected");
  EXPECT_EQ(to_json(Nothing{}), parse("{}"));
}

TEST(Json, FirstMistakeInSchemaOrderIsReported) {
  EXPECT_EQ(refusal<MigrateArguments>(R"({"bogus": 1, "resume": 1, "blk": 2, "uri": "x"})"),
            "Invalid parameter type for 'blk', expected: boolean");
  EXPECT_EQ(refusal<MigrateArguments>(R"({"bogus": 1, "blk": 2})"), "Parameter 'uri' is missing");
  EXPECT_EQ(refusal<MigrateArguments>(R"({"bogus": 1, "uri": "x"})"), "Parameter 'bogus' is unexpected");
}

TEST(Json, MistakesInsideAreReportedBeforeLaterMembers) {
  EXPECT_EQ(
      refusal<MigrateSetCapabilitiesArguments>(
          R"({"capabilities": [{"capability": "events", "state": true}, {"capability": "events", "state": 1}]})"),
      "Invalid parameter type for 'capabilities[1].state', expected: boolean");
}

TEST(Json, UnknownMembersOfANewerServerCanBeIgnored) {
  const auto json = parse(R"({"status": "active", "news": 1, "ram": {"more": 2}})");
  EXPECT_EQ(from_json<MigrationInfo>(json).error().what(), "Parameter 'ram.transferred' is missing");
  const auto info = from_json<MigrationInfo>(
      parse(R"({"status": "active", "news": 1, "vfio": {"transferred": 1, "x": 2}})"),
      UnknownMembers::ignore);
  ASSERT_TRUE(info) << info.error().what();
  EXPECT_EQ(info->status, MigrationStatus::active);
  EXPECT_EQ(info->vfio->transferred, 1);
}

TEST(Json, NegativeNumbersWrapIn64BitsOnly) {
  const auto settings = from_json<MigrateSetParameters>(parse(R"({"max-bandwidth": -1})"));
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->max_bandwidth, 18446744073709551615U);
  EXPECT_EQ(refusal<MigrateSetParameters>(R"({"x-checkpoint-delay": -1})"),
            "Parameter 'x-checkpoint-delay' expects uint32_t");
}

TEST(Json, LargeUnsignedNumbersDoNotFitInt) {
  EXPECT_EQ(refusal<AnnounceParameters>(R"({"initial": 9223372036854775807})"), "Parameter 'max' is missing");
  EXPECT_EQ(refusal<AnnounceParameters>(R"({"initial": 9223372036854775808})"),
            "Invalid parameter type for 'initial', expected: integer");
}

TEST(Json, NumbersTakeIntegersToo) {
  const auto value = from_json<MigrateSetDowntimeArguments>(parse(R"({"value": 2})"));
  ASSERT_TRUE(value);
  EXPECT_EQ(value->value, 2.0);
  EXPECT_EQ(refusal<MigrateSetDowntimeArguments>(R"({"value": "2"})"),
            "Invalid parameter type for 'value', expected: number");
}

TEST(Json, NullAndStringAreKeptApart) {
  auto settings =
      from_json<MigrateSetParameters>(parse(R"({"tls-creds": null, "tls-hostname": ""})")).value();
  EXPECT_EQ(settings.tls_creds, StrOrNull{});
  EXPECT_EQ(settings.tls_hostname, StrOrNull{""});
  EXPECT_FALSE(settings.tls_authz);
  EXPECT_EQ(to_json(settings), parse(R"({"tls-creds": null, "tls-hostname": ""})"));
}

TEST(Json, UnionsAreTaggedByTheirAlternative) {
  const SocketAddress address{.u = InetSocketAddress{.host = "::1", .port = "4444", .ipv6 = true}};
  EXPECT_EQ(address.type(), SocketAddressType::inet);
  const auto json = parse(R"({"type": "inet", "host": "::1", "port": "4444", "ipv6": true})");
  EXPECT_EQ(to_json(address), json);
  EXPECT_EQ(from_json<SocketAddress>(json), address);
  EXPECT_EQ(refusal<SocketAddress>(R"({"type": "unix", "path": "/x", "host": "y"})"),
            "Parameter 'host' is unexpected");
  EXPECT_EQ(refusal<SocketAddress>(R"({"type": "unix"})"), "Parameter 'path' is missing");
  EXPECT_EQ(refusal<SocketAddress>(R"({"path": "/x"})"), "Parameter 'type' is missing");
}

TEST(Json, ABranchWithoutMembersIsNothing) {
  const auto instance = from_json<YankInstance>(parse(R"({"type": "migration"})"));
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->type(), YankInstanceType::migration);
  EXPECT_EQ(to_json(*instance), parse(R"({"type": "migration"})"));
}

TEST(Json, AnyValuePassesThrough) {
  for (const char* text : {"null", "[1, {\"a\": 2.5}]", "\"x\"", "18446744073709551615"}) {
    boost::json::object arguments{{"path", "/a"}, {"property", "b"}, {"value", parse(text)}};
    const auto read = from_json<command::qom_set::Arguments>(arguments);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(read->value, parse(text));
    EXPECT_EQ(to_json(*read), arguments);
  }
}

TEST(Json, CommandsOutsideTheGeneratorGetTheirArgumentsAsTheyAre) {
  static_assert(std::is_same_v<command::object_add::Arguments, boost::json::object>);
  static_assert(std::is_same_v<command::object_add::Returns, Nothing>);
  static_assert(std::is_same_v<command::query_qmp_schema::Arguments, Nothing>);
  static_assert(std::is_same_v<command::query_qmp_schema::Returns, boost::json::value>);
  const auto arguments = parse(R"({"qom-type": "authz-simple", "id": "a", "identity": "CN=x"})").as_object();
  const auto raw = from_json<command::object_add::Arguments>(arguments);
  ASSERT_TRUE(raw);
  const auto options = from_json<ObjectOptions>(*raw);
  ASSERT_TRUE(options) << options.error().what();
  EXPECT_EQ(options->qom_type(), ObjectType::authz_simple);
  EXPECT_EQ(options->id, "a");
  EXPECT_EQ(std::get<AuthZSimpleProperties>(options->u).identity, "CN=x");
}

TEST(Json, MembersOfABaseStandBesideTheOwn) {
  const auto options = from_json<ObjectOptions>(parse(
      R"({"qom-type": "memory-backend-file", "id": "m", "size": 4096, "mem-path": "/x", "share": true})"));
  ASSERT_TRUE(options) << options.error().what();
  const auto& file = std::get<MemoryBackendFileProperties>(options->u);
  EXPECT_EQ(file.size, 4096U);
  EXPECT_EQ(file.share, true);
  EXPECT_EQ(file.mem_path, "/x");
}

TEST(Json, EventsWithoutDataHaveNoDataMember) {
  EXPECT_EQ(boost::json::value(make_event<event::STOP>()), parse(R"({"event": "STOP"})"));
  EXPECT_EQ(boost::json::value(make_event<event::MIGRATION>({.status = MigrationStatus::pre_switchover})),
            parse(R"({"event": "MIGRATION", "data": {"status": "pre-switchover"}})"));
}

TEST(Json, OnlyTheCommandsOfTheSpecificationRunOutOfBand) {
  std::vector<std::string_view> names;
  for_each_type(AllCommands{}, [&]<typename Command>() {
    if (Command::allow_oob) names.push_back(Command::name);
  });
  EXPECT_EQ(names, (std::vector<std::string_view>{"migrate-recover", "migrate-pause", "yank", "query-yank"}));
}

TEST(Types, EnumsHaveTheirNamesBothWays) {
  EXPECT_EQ(to_string(MigrationStatus::postcopy_active), "postcopy-active");
  EXPECT_EQ(from_string<MigrationStatus>("pre-switchover"), MigrationStatus::pre_switchover);
  EXPECT_EQ(from_string<MigrationStatus>("pre_switchover"), std::nullopt);
  EXPECT_EQ(from_string<SocketAddressType>("unix"), SocketAddressType::unix_);
  EXPECT_EQ(value_count<MigrationCapability>, 24U);
  ASSERT_EQ(all_values<MigrationCapability>().size(), 24U);
  EXPECT_EQ(all_values<MigrationCapability>()[1], MigrationCapability::rdma_pin_all);
}

}  // namespace
}  // namespace godwit::schema

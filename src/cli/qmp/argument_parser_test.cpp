#include "cli/qmp/argument_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck/gtest.h>

#include "cli/json_text.h"
#include "cli/qmp/words.h"
#include "cli/testing/schemas.h"

namespace godwit::cli::qmp {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

json::value request(std::string_view line, const SchemaIndex& schema = qemu_schema()) {
  auto parsed = parse_request(line, schema);
  return parsed ? json::value(*parsed) : json::value(parsed.error().explain());
}

json::value arguments(std::string_view line) {
  const auto parsed = request(line);
  return parsed.is_object() ? parsed.at("arguments") : parsed;
}

std::string error(std::string_view line) {
  const auto parsed = request(line);
  return parsed.is_string() ? std::string(parsed.get_string()) : "no error: " + compact(parsed);
}

TEST(ArgumentParser, TakesTypesFromTheSchema) {
  EXPECT_EQ(request("query-status"), json::parse(R"({"execute": "query-status"})"));
  EXPECT_EQ(arguments("migrate-set-parameters downtime-limit=5 tls-hostname=5 cpu-throttle-tailslow=on"),
            json::parse(R"({"downtime-limit": 5, "tls-hostname": "5", "cpu-throttle-tailslow": true})"));
  EXPECT_EQ(arguments("migrate-set-parameters max-bandwidth=1M tls-creds=null tls-authz=\"null\""),
            json::parse(R"({"max-bandwidth": 1048576, "tls-creds": null, "tls-authz": "null"})"));
  EXPECT_EQ(arguments("migrate uri=exec:cat>/tmp/a=b"), json::parse(R"({"uri": "exec:cat>/tmp/a=b"})"));
  EXPECT_EQ(arguments("migrate uri='exec:cat > /tmp/x'"), json::parse(R"({"uri": "exec:cat > /tmp/x"})"));
  EXPECT_EQ(arguments(R"(migrate uri="a \"b\" é")"), json::parse(R"({"uri": "a \"b\" é"})"));
}

TEST(ArgumentParser, NestsByDotsAndByJson) {
  EXPECT_EQ(arguments("migrate-set-capabilities capabilities.0.capability=xbzrle capabilities.0.state=true "
                      "capabilities.1.state=off capabilities.1.capability=events"),
            json::parse(R"({"capabilities": [{"capability": "xbzrle", "state": true},
                                             {"state": false, "capability": "events"}]})"));
  EXPECT_EQ(arguments(R"(migrate-set-capabilities capabilities=[{"capability": "xbzrle", "state": true}])"),
            json::parse(R"({"capabilities": [{"capability": "xbzrle", "state": true}]})"));
  // The tag of a union may come behind the members it brings; a reference may be a name or an object.
  EXPECT_EQ(arguments("blockdev-add file.filename=/a file.driver=file driver=raw node-name=5 size=4k"),
            json::parse(R"({"file": {"filename": "/a", "driver": "file"}, "driver": "raw", "node-name": "5",
                            "size": 4096})"));
  EXPECT_EQ(arguments("blockdev-add driver=raw node-name=n file=5"),
            json::parse(R"({"driver": "raw", "node-name": "n", "file": "5"})"));
}

TEST(ArgumentParser, WhatNoSchemaDescribesIsWhatItLooksLike) {
  EXPECT_EQ(arguments("qom-set path=/a property=b value=-5"),
            json::parse(R"({"path": "/a", "property": "b", "value": -5})"));
  EXPECT_EQ(arguments("device_add driver=d id=1 addr=0x10 multi=true serial='007' x.y=1.5 z=a5"),
            json::parse(R"({"driver": "d", "id": "1", "addr": "0x10", "multi": true, "serial": "007",
                            "x": {"y": 1.5}, "z": "a5"})"));
  EXPECT_EQ(request("no-such a=1"), json::parse(R"({"execute": "no-such", "arguments": {"a": 1}})"));
}

TEST(ArgumentParser, RunsOutOfBandAndTakesJson) {
  EXPECT_EQ(request("exec-oob migrate-pause"), json::parse(R"({"exec-oob": "migrate-pause"})"));
  EXPECT_EQ(request("-oob migrate-recover uri=a"),
            json::parse(R"({"exec-oob": "migrate-recover", "arguments": {"uri": "a"}})"));
  EXPECT_EQ(request(R"( {"execute": "stop", "id": 3})"), json::parse(R"({"execute": "stop", "id": 3})"));
}

TEST(ArgumentParser, SaysWhatIsWrongAndWhatToDo) {
  EXPECT_EQ(error("migrate-set-parameters max-bandwith=1"),
            "migrate-set-parameters: there is no argument 'max-bandwith'. Next: use max-bandwidth?");
  EXPECT_EQ(error("migrate-set-parameters downtime-limit=soon"),
            "migrate-set-parameters: 'downtime-limit' takes int, not 'soon'");
  EXPECT_EQ(error("migrate-set-parameters multifd-compression=zst"),
            "migrate-set-parameters: 'multifd-compression' cannot be 'zst'. Next: use zstd?");
  EXPECT_EQ(error("query-status x=1"),
            "query-status: there is no argument 'x'. Next: leave it out: there are none");
  EXPECT_THAT(error("migrate uri"), HasSubstr("'uri' is not of the form key=value"));
  EXPECT_THAT(error("migrate uri=a uri=b"), HasSubstr("'uri' is given twice"));
  EXPECT_THAT(error("migrate uri.x=a"), HasSubstr("'uri' takes string, and has no members"));
  EXPECT_THAT(error("migrate-set-capabilities capabilities.1.state=on"),
              HasSubstr("has no 'capabilities.0'"));
  EXPECT_THAT(error("migrate-set-capabilities capabilities.0=[1"), HasSubstr("the line ends before the ]"));
  EXPECT_THAT(error("blockdev-add file=a file.driver=b"),
              HasSubstr("'file' is given a value, and 'file.driver' a member of it"));
  EXPECT_THAT(error("blockdev-add driver=raw no-such=a"), HasSubstr("there is no argument 'no-such'"));
  EXPECT_THAT(error("object-add nonsense=a"), HasSubstr("Next: give 'qom-type'"));
}

TEST(ArgumentParser, IntegersKeepTheirRange) {
  const auto value = [](std::string_view text) -> json::value {
    static const Type integer = [] {
      Type type;
      type.kind = Type::Kind::integer;
      return type;
    }();
    auto parsed = parse_value(text, integer, "k");
    return parsed ? *parsed : json::value("error");
  };
  EXPECT_EQ(value("18446744073709551615"), json::value(std::uint64_t{18446744073709551615u}));
  EXPECT_EQ(value("18446744073709551616"), "error");
  EXPECT_EQ(value("-9223372036854775808"), json::value(std::numeric_limits<std::int64_t>::min()));
  EXPECT_EQ(value("-9223372036854775809"), "error");
  EXPECT_EQ(value("0xff"), 255);
  EXPECT_EQ(value("16E"), "error");
  EXPECT_EQ(value("15E"), json::value(std::uint64_t{15} << 60));
  for (const auto* wrong : {"", "-", "0x", "1.5", "1 ", "K", "--1"})
    EXPECT_EQ(value(wrong), "error") << wrong;
}

RC_GTEST_PROP(ArgumentParser, AnyStringArrivesAsItWas, (std::string text)) {
  // What a terminal gives is UTF-8.
  for (char& c : text) c = static_cast<char>(c & 0x7f);
  const auto quoted = json::serialize(json::string_view(text));
  RC_ASSERT(arguments("migrate uri=" + std::string(quoted)).at("uri") == json::string_view(text));
}

RC_GTEST_PROP(ArgumentParser, AnyIntegerArrivesAsItWas, (std::int64_t number)) {
  const auto line = "migrate-set-parameters downtime-limit=" + std::to_string(number);
  RC_ASSERT(arguments(line).at("downtime-limit") == number);
}

/// Pieces that mean something to the parser, in any order.
rc::Gen<std::string> lines() {
  return rc::gen::map(
      rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
          "migrate", "object-add", "blockdev-add", "migrate-set-capabilities", "exec-oob", "help", " ", " ",
          "=", ".", "'", "\"", "{", "}", "[", "]", ",", ":", "\\", "uri", "driver", "file", "capabilities",
          "0", "1", "qom-type", "memory-backend-file", "raw", "-5", "true", "null", "\xc3\xa9", "\x01")),
      [](const std::vector<std::string>& pieces) {
        std::string line;
        for (const auto& piece : pieces) line += piece;
        return line;
      });
}

RC_GTEST_PROP(ArgumentParser, AnyLineIsARequestOrAnError, ()) {
  const auto line = *lines();
  const auto parsed = parse_request(line, qemu_schema());
  if (parsed && !is_json_request(line))
    RC_ASSERT(parsed->contains("execute") || parsed->contains("exec-oob"));
  if (!parsed) RC_ASSERT(!parsed.error().what().empty());
}

RC_GTEST_PROP(Words, CoverAllButTheSpace, ()) {
  const auto line = *lines();
  std::size_t at = 0;
  for (const auto& word : split_words(line).words) {
    RC_ASSERT(word.begin >= at);
    RC_ASSERT(line.find_first_not_of(" \t\r\n", at) == word.begin);
    RC_ASSERT(line.substr(word.begin, word.text.size()) == word.text);
    RC_ASSERT(!word.text.empty());
    at = word.begin + word.text.size();
  }
  RC_ASSERT(line.find_first_not_of(" \t\r\n", at) == std::string::npos);
}

}  // namespace
}  // namespace godwit::cli::qmp

#include "cli/qmp/completer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cli/testing/schemas.h"

namespace godwit::cli::qmp {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

std::vector<std::string> candidates(std::string_view line, const SchemaIndex& schema = qemu_schema()) {
  std::vector<std::string> texts;
  for (const auto& candidate : complete(line, schema).candidates) texts.push_back(candidate.text);
  return texts;
}

/// The line after Tab.
std::string completed(std::string line) {
  const auto completion = complete(line, qemu_schema());
  return line.substr(0, completion.begin) + completion.common();
}

TEST(Completer, CommandsAndWordsOfTheShell) {
  EXPECT_THAT(candidates("query-migrate"),
              ElementsAre("query-migrate ", "query-migrate-capabilities ", "query-migrate-parameters "));
  EXPECT_EQ(completed("query-migrate-p"), "query-migrate-parameters ");
  EXPECT_THAT(candidates("/"), ElementsAre("/help ", "/quit "));
  EXPECT_THAT(candidates(""), IsSupersetOf({"help ", "migrate ", "exec-oob "}));
  EXPECT_THAT(candidates("exec-oob migrate"), ElementsAre("migrate-pause ", "migrate-recover "));
  EXPECT_THAT(candidates("help MIGRATION"), ElementsAre("MIGRATION ", "MIGRATION_PASS "));
  EXPECT_THAT(candidates("no-such "), IsEmpty());
  EXPECT_THAT(candidates(R"({"execute": ")"), IsEmpty());
}

TEST(Completer, ArgumentsThatAreNotGivenYet) {
  EXPECT_THAT(candidates("migrate "), ElementsAre("blk=", "detach=", "inc=", "resume=", "uri="));
  EXPECT_THAT(candidates("migrate uri=a "), Not(Contains("uri=")));
  EXPECT_EQ(completed("migrate u"), "migrate uri=");
  EXPECT_EQ(complete("migrate u", qemu_schema()).candidates[0].about, "string");
}

TEST(Completer, Values) {
  EXPECT_THAT(candidates("migrate blk="), ElementsAre("false ", "true "));
  EXPECT_THAT(candidates("migrate-set-parameters multifd-compression=z"), ElementsAre("zlib ", "zstd "));
  EXPECT_THAT(candidates("migrate-set-parameters tls-creds="), ElementsAre("null "));
  EXPECT_THAT(candidates("migrate uri="), IsEmpty());
}

TEST(Completer, WhatIsNested) {
  EXPECT_EQ(completed("migrate-set-capabilities "), "migrate-set-capabilities capabilities.0.");
  EXPECT_THAT(candidates("migrate-set-capabilities capabilities.0."), ElementsAre("capability=", "state="));
  EXPECT_EQ(completed("migrate-set-capabilities capabilities.0.capability=ev"),
            "migrate-set-capabilities capabilities.0.capability=events ");
  EXPECT_EQ(completed("migrate-set-capabilities capabilities.0.capability=events c"),
            "migrate-set-capabilities capabilities.0.capability=events capabilities.0.");
  EXPECT_EQ(
      completed("migrate-set-capabilities capabilities.0.capability=events capabilities.0.state=true c"),
      "migrate-set-capabilities capabilities.0.capability=events capabilities.0.state=true capabilities.1.");
}

TEST(Completer, TheTagOfAUnionDecides) {
  EXPECT_THAT(candidates("object-add qom-type=memory-backend-file m"), IsSupersetOf({"mem-path=", "merge="}));
  EXPECT_THAT(candidates("object-add qom-type=rng-random m"), IsEmpty());
  EXPECT_THAT(candidates("blockdev-add driver=raw file.driver=file file.f"), Contains("filename="));
}

TEST(Completer, HintsAtWhatFollows) {
  EXPECT_EQ(hint("migrate ", own_schema()),
            "uri=string [blk=bool] [inc=bool] [detach=bool] [resume=bool] [channels=[object]]");
  EXPECT_EQ(hint("migrate uri=a blk=", own_schema()), "blk: bool");
  EXPECT_EQ(hint("migrate-set-capabilities capabilities.0.", own_schema()).substr(0, 11), "capability=");
  EXPECT_EQ(hint("migra", own_schema()), "");
}

RC_GTEST_PROP(Completer, EveryCandidateGoesOnWithWhatIsTyped, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "migrate ", "object-add ", "blockdev-add ", "migrate-set-capabilities ", "help ", "exec-oob ", " ", "=",
      ".", "'", "[", "uri", "driver", "file", "fi", "capabilities", "0", "qom-type=", "memory-backend-file ",
      "raw ", "m"));
  std::string line;
  for (const auto& piece : pieces) line += piece;
  const auto completion = complete(line, qemu_schema());
  RC_ASSERT(completion.begin <= line.size());
  const auto typed = line.substr(completion.begin);
  for (const auto& candidate : completion.candidates) RC_ASSERT(candidate.text.starts_with(typed));
  (void)hint(line, qemu_schema());
}

}  // namespace
}  // namespace godwit::cli::qmp

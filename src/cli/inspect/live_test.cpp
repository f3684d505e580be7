// The inspector as the destination of a live source.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "base/thread.h"
#include "channel/channel_input.h"
#include "channel/memory_channel.h"
#include "cli/inspect/testing.h"

namespace godwit::cli::inspect {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Outcome {
  Inspection found;
  std::vector<std::string> answers;  ///< names, in order
  std::uint32_t verdict = 0;         ///< of SHUT
};

/// Sends `stream` and then waits for SHUT, as a source with a return path does; one without just closes.
Outcome inspect_live(std::span<const std::byte> stream, bool return_path, bool let_source_stop = false,
                     Clock* clock = nullptr) {
  auto channels = channel::make_memory_channels(1024 * 1024);
  Outcome outcome;
  {
    const auto peer = start_thread("source", [&](std::stop_token) {
      // An inspector that turns the source away breaks the connection: writing may fail.
      (void)channels.second->write(stream);
      channel::ChannelInput in(*channels.second);
      while (return_path) {
        const auto message = wire::decode_return_message(in);
        if (!message) break;
        outcome.answers.emplace_back(wire::name_of(*message));
        if (const auto* shut = std::get_if<wire::Shut>(&*message)) {
          outcome.verdict = shut->status;
          break;
        }
      }
      channels.second->shutdown();
    });
    Source source;
    source.name = "live";
    source.channel = std::move(channels.first);
    source.live = true;
    ReadOptions options;
    options.let_source_stop = let_source_stop;
    options.clock = clock;
    auto found = read_source(source, options, StopRequest());
    EXPECT_TRUE(found);
    if (found) outcome.found = *std::move(found);
  }
  return outcome;
}

TEST(Live, AnswersAndThenSaysThatItCouldNotLoadTheGuest) {
  const auto outcome = inspect_live(wire::test::golden("06-return-path-to-dst.bin"), true);
  EXPECT_FALSE(outcome.found.problem);
  EXPECT_TRUE(outcome.found.description);
  EXPECT_THAT(outcome.answers, ElementsAre("PONG", "SHUT"));
  EXPECT_EQ(outcome.verdict, 1u);
}

TEST(Live, ASourceThatSendsNoDescriptionGetsItsAnswerToo) {
  const auto stream = wire::test::golden("06-return-path-to-dst.bin");
  const std::size_t json = wire::test::description_of(stream).size();
  VirtualClock clock;  // any time that is waited for has passed
  const auto outcome = inspect_live(std::span(stream).first(stream.size() - json - 5), true, false, &clock);
  EXPECT_THAT(outcome.answers, ElementsAre("PONG", "SHUT"));
  EXPECT_EQ(outcome.verdict, 1u);
}

TEST(Live, TurnsASourceWithoutReturnPathAway) {
  const auto stream = wire::test::golden("01-precopy-plain.bin");
  const auto outcome = inspect_live(stream, false);
  ASSERT_TRUE(outcome.found.problem);
  EXPECT_THAT(outcome.found.problem->what, HasSubstr("the source has no return path"));
  EXPECT_TRUE(outcome.found.turned_away);
  EXPECT_THAT(outcome.found.problem->advice, HasSubstr("--let-source-stop"));
  EXPECT_LT(outcome.found.bytes, 0x40u);
  EXPECT_FALSE(inspect_live(stream, false, true).found.problem);
}

TEST(Live, TurnsPostcopyAndColoAway) {
  const auto postcopy = inspect_live(wire::test::golden("07-postcopy-to-dst.bin"), true);
  ASSERT_TRUE(postcopy.found.problem);
  EXPECT_THAT(postcopy.found.problem->what, HasSubstr("POSTCOPY_ADVISE"));
  EXPECT_EQ(postcopy.verdict, 1u);
  EXPECT_THAT(postcopy.found.blocks, IsEmpty());
  const auto colo = inspect_live(wire::test::golden("14-colo-to-dst.bin"), false, true);
  ASSERT_TRUE(colo.found.problem);
  EXPECT_THAT(colo.found.problem->what, HasSubstr("ENABLE_COLO"));
}

}  // namespace
}  // namespace godwit::cli::inspect

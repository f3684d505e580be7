// The schema against what QEMU 7.2 was seen to do: which arguments it takes or refuses and in which words,
// what it answers, and the events it sends.
#include <algorithm>
#include <functional>
#include <map>

#include <godwit/schema/commands.h>

#include "sample_lines.h"

namespace godwit::schema::test {
namespace {

/// The text with which the arguments are refused, or "accepted".
template <typename Command>
std::string check_arguments(const boost::json::object& arguments) {
  // object-add hands its arguments over as they are; whoever carries it out reads them as ObjectOptions.
  using Arguments = std::conditional_t<std::is_same_v<Command, command::object_add>, ObjectOptions,
                                       typename Command::Arguments>;
  const auto result = from_json<Arguments>(arguments);
  return result ? "accepted" : result.error().what();
}

TEST(Recorded, ArgumentsAreTakenAndRefusedAsByThePeer) {
  std::map<std::string, std::function<std::string(const boost::json::object&)>, std::less<>> checks;
  for_each_type(AllCommands{},
                [&]<typename Command>() { checks[std::string(Command::name)] = check_arguments<Command>; });
  int refused = 0;
  for (const auto& line : sample_lines("argument_checks.jsonl")) {
    const auto command = text_of(line.at("command"));
    ASSERT_TRUE(checks.contains(command)) << command;
    const auto expected = line.at("error").is_null() ? "accepted" : text_of(line.at("error"));
    EXPECT_EQ(checks[command](line.at("arguments").as_object()), expected) << line;
    refused += expected != "accepted";
  }
  EXPECT_GT(refused, 100);
}

/// Whether two values are the same to a client, for whom 1 and 1.0 are.
bool same(const boost::json::value& one, const boost::json::value& other) {
  if (one.is_number() && other.is_number()) return one.to_number<double>() == other.to_number<double>();
  if (one.is_array() && other.is_array()) return std::ranges::equal(one.get_array(), other.get_array(), same);
  if (!one.is_object() || !other.is_object()) return one == other;
  return one.get_object().size() == other.get_object().size() &&
         std::ranges::all_of(one.get_object(), [&](const auto& member) {
           const auto* match = other.get_object().if_contains(member.key());
           return match != nullptr && same(member.value(), *match);
         });
}

template <typename Command>
std::string read_and_print(const boost::json::value& answer) {
  const auto result = from_json<typename Command::Returns>(answer);
  return result ? boost::json::serialize(to_json(*result)) : result.error().what();
}

TEST(Recorded, AnswersAreReadAndPrintedWithoutLoss) {
  std::map<std::string, std::function<std::string(const boost::json::value&)>, std::less<>> readers;
  for_each_type(AllCommands{},
                [&]<typename Command>() { readers[std::string(Command::name)] = read_and_print<Command>; });
  for (const auto& line : sample_lines("answers.jsonl")) {
    const auto printed = readers.at(text_of(line.at("command")))(line.at("return"));
    boost::json::error_code error;
    const auto json = boost::json::parse(printed, error);
    ASSERT_FALSE(error) << printed;
    EXPECT_TRUE(same(json, line.at("return"))) << json << "\n" << line;
  }
}

TEST(Recorded, EventsAreMadeAsThePeerSendsThem) {
  std::map<std::string, std::function<boost::json::object(const boost::json::object&)>, std::less<>> makers;
  for_each_type(AllEvents{}, [&]<typename Event>() {
    makers[std::string(Event::name)] = [](const boost::json::object& sample) {
      typename Event::Data data{};
      if (const auto* json = sample.if_contains("data"))
        data = from_json<typename Event::Data>(*json).value();
      return make_event<Event>(data);
    };
  });
  for (const auto& line : sample_lines("events.jsonl"))
    EXPECT_EQ(makers.at(text_of(line.at("event")))(line), line);
}

}  // namespace
}  // namespace godwit::schema::test

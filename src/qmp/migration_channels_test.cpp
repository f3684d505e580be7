#include "qmp/migration_channels.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <godwit/schema/json.h>

namespace godwit::qmp {
namespace {

std::string uri(std::string_view channels) {
  std::vector<schema::MigrationChannel> list;
  const boost::json::value json = boost::json::parse(channels);
  for (const auto& channel : json.as_array()) {
    const auto parsed = schema::from_json<schema::MigrationChannel>(channel.as_object());
    if (!parsed) return parsed.error().what();
    list.push_back(*parsed);
  }
  const auto made = uri_of(list);
  return made ? *made : made.error().what();
}

std::string main_to(std::string_view address) {
  return uri(std::string(R"([{"channel-type":"main","addr":)") + std::string(address) + "}]");
}

TEST(MigrationChannels, StandForUris) {
  EXPECT_EQ(main_to(R"({"transport":"socket","type":"inet","host":"h","port":"1"})"), "tcp:h:1");
  EXPECT_EQ(main_to(R"({"transport":"socket","type":"inet","host":"::1","port":"1","ipv4":false})"),
            "tcp:[::1]:1,ipv4=off");
  EXPECT_EQ(main_to(R"({"transport":"socket","type":"unix","path":"/p"})"), "unix:/p");
  EXPECT_EQ(main_to(R"({"transport":"socket","type":"vsock","cid":"3","port":"4"})"), "vsock:3:4");
  EXPECT_EQ(main_to(R"({"transport":"socket","type":"fd","str":"mig"})"), "fd:mig");
  EXPECT_EQ(main_to(R"({"transport":"exec","args":["/bin/sh","-c","cat > 'a b'"]})"),
            R"(exec:exec '/bin/sh' '-c' 'cat > '\''a b'\''')");
  EXPECT_EQ(main_to(R"({"transport":"file","filename":"/f"})"), "file:/f");
  EXPECT_EQ(main_to(R"({"transport":"file","filename":"/f","offset":4096})"), "file:/f,offset=4096");
  EXPECT_EQ(main_to(R"({"transport":"rdma","host":"h","port":"1"})"), "rdma:h:1");
}

TEST(MigrationChannels, Errors) {
  EXPECT_EQ(uri("[]"), "need either 'uri' or 'channels' argument");
  EXPECT_EQ(main_to(R"({"transport":"socket"})"), "Parameter 'channels[0].addr.type' is missing");
  EXPECT_EQ(main_to(R"({"transport":"socket","type":"unix"})"),
            "Parameter 'channels[0].addr.path' is missing");
  EXPECT_EQ(main_to(R"({"transport":"exec","args":[]})"), "Parameter 'channels[0].addr.args' is missing");
  EXPECT_EQ(main_to(R"({"transport":"file"})"), "Parameter 'channels[0].addr.filename' is missing");
  EXPECT_EQ(uri(R"([{"channel-type":"cpr","addr":{"transport":"file","filename":"/f"}}])"),
            "channels of type 'cpr' are not built yet");
  const std::string one = R"({"channel-type":"main","addr":{"transport":"file","filename":"/f"}})";
  EXPECT_EQ(uri("[" + one + "," + one + "]"), "Channel list has more than one main channel");
}

}  // namespace
}  // namespace godwit::qmp

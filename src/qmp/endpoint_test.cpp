#include "qmp/endpoint.h"

#include <gtest/gtest.h>

namespace godwit::qmp {
namespace {

std::string error_of(std::string_view text) {
  const auto endpoint = parse_endpoint(text);
  return endpoint ? "none" : endpoint.error().what();
}

TEST(Endpoint, UnixServerAndClient) {
  const auto server = parse_endpoint("unix:/run/a,,b,server=on,wait=off");
  ASSERT_TRUE(server);
  EXPECT_EQ(std::get<UnixEndpoint>(*server).path, "/run/a,b");
  ASSERT_TRUE(std::get<UnixEndpoint>(*server).server);
  EXPECT_FALSE(waits_for_client(*server));
  EXPECT_EQ(to_string(*server), "unix:/run/a,b");
  const auto client = parse_endpoint("unix:q");
  ASSERT_TRUE(client);
  EXPECT_FALSE(std::get<UnixEndpoint>(*client).server);
}

TEST(Endpoint, OldSpellings) {
  for (const auto* text :
       {"unix:q,server,nowait", "unix:q,server=on,wait=off", "unix:q,wait=off,server=on,nodelay"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_TRUE(std::get<UnixEndpoint>(*endpoint).server) << text;
    EXPECT_FALSE(waits_for_client(*endpoint)) << text;
  }
  EXPECT_TRUE(waits_for_client(*parse_endpoint("unix:q,server")));
  EXPECT_FALSE(std::get<UnixEndpoint>(*parse_endpoint("unix:q,noserver")).server);
}

TEST(Endpoint, TcpAndStdio) {
  const auto tcp = parse_endpoint("tcp:[::1]:4444,server=on,wait=off");
  ASSERT_TRUE(tcp);
  EXPECT_EQ(std::get<TcpEndpoint>(*tcp).host, "::1");
  EXPECT_EQ(std::get<TcpEndpoint>(*tcp).port, "4444");
  EXPECT_EQ(to_string(*tcp), "tcp:[::1]:4444");
  EXPECT_EQ(std::get<TcpEndpoint>(*parse_endpoint("tcp::4444")).host, "");
  EXPECT_TRUE(std::holds_alternative<StdioEndpoint>(*parse_endpoint("stdio")));
}

TEST(Endpoint, Errors) {
  EXPECT_EQ(error_of("bogus:x"), "'bogus:x' is not a valid char driver");
  EXPECT_EQ(error_of("unix:q,server=on,foo=1"), "Invalid parameter 'foo'");
  EXPECT_EQ(error_of("unix:q,server=maybe"), "Parameter 'server' expects 'on' or 'off'");
  EXPECT_EQ(error_of("unix:q,wait=on"), "'wait' option is incompatible with socket in client connect mode");
  EXPECT_EQ(error_of("tcp:4444"), "error parsing address '4444'");
}

}  // namespace
}  // namespace godwit::qmp

#include "channel/address.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace godwit::channel {
namespace {

struct Good {
  std::string uri;
  Address address;
  std::string printed{};  // if it is not the uri
};

TEST(ParseAddress, ReadsEveryForm) {
  const std::vector<Good> cases = {
      {"tcp:127.0.0.1:4444", Tcp{"127.0.0.1", "4444"}},
      {"tcp::0", Tcp{"", "0"}},
      {"tcp:host:http", Tcp{"host", "http"}},
      {"tcp:[::1]:80", Tcp{"::1", "80"}},
      {"tcp:[fe80::1%eth0]:80", Tcp{"fe80::1%eth0", "80"}},
      {"tcp:h:99999", Tcp{"h", "99999"}},
      {"tcp:h:1:2", Tcp{"h", "1:2"}},
      {"tcp:h:1,to=20", Tcp{.host = "h", .port = "1", .to = 20}, "tcp:h:1"},
      {"tcp:h:1,to=70000", Tcp{.host = "h", .port = "1", .to = 65535}, "tcp:h:1"},
      {"tcp:h:1,ipv4,ipv6=off,keep-alive=on",
       Tcp{.host = "h", .port = "1", .ipv4 = true, .ipv6 = false, .keep_alive = true}, "tcp:h:1"},
      {"tcp:h:1,,bogus=on,ipv6", Tcp{.host = "h", .port = "1", .ipv6 = true}, "tcp:h:1"},
      {"unix:/run/m.sock", Unix{"/run/m.sock"}},
      {"unix:/run/m,to=3", Unix{"/run/m,to=3"}},
      {"vsock:3:5000", Vsock{"3", "5000"}},
      {"vsock:x:2:3", Vsock{"x", "2:3"}},
      {"fd:", Fd{""}},
      {"fd:name", Fd{"name"}},
      {"exec:", Exec{""}},
      {"exec:gzip -c > /tmp/x,y:z", Exec{"gzip -c > /tmp/x,y:z"}},
      {"file:/var/vm", File{"/var/vm"}},
      {"file:/var/vm,offset=4096", File{"/var/vm", 4096}},
      {"file:/var/a,b,offset=0x10", File{"/var/a,b", 16}, "file:/var/a,b,offset=16"},
      {"file:x,offset=2M", File{"x", 2 << 20}, "file:x,offset=2097152"},
      {"file:x,offset=1,offset=0", File{"x,offset=1"}},
      {"rdma:host:4444", Rdma{"host", "4444"}},
      {"rdma:[::1]:4444", Rdma{"::1", "4444"}},
  };
  for (const auto& [uri, address, printed] : cases) {
    const auto parsed = parse_address(uri, Direction::incoming);
    ASSERT_TRUE(parsed.has_value()) << uri << ": " << parsed.error().what();
    EXPECT_EQ(*parsed, address) << uri;
    EXPECT_EQ(to_string(*parsed), printed.empty() ? uri : printed);
  }
}

struct Bad {
  std::string uri;
  std::string error;
};

TEST(ParseAddress, RefusesWithTheTextsOfThePeer) {
  const std::string host65(65, 'h');
  const std::vector<Bad> cases = {
      {"tcp:", "error parsing address ''"},
      {"tcp:localhost", "error parsing address 'localhost'"},
      {"tcp:127.0.0.1:", "error parsing address '127.0.0.1:'"},
      {"tcp::", "error parsing port in address ':'"},
      {"tcp:" + host65 + ":1", "error parsing address '" + host65 + ":1'"},
      {"tcp:[::1:0", "error parsing IPv6 address '[::1:0'"},
      {"tcp:[::1]", "error parsing IPv6 address '[::1]'"},
      {"tcp:[]:0", "error parsing IPv6 address '[]:0'"},
      {"tcp:h:0,to=abc", "error parsing to= argument"},
      {"tcp:h:0,to=", "error parsing to= argument"},
      {"tcp:h:0,to=12x", "error parsing to= argument"},
      {"tcp:h:0,ipv4=maybe,to=3", "error parsing 'ipv4' flag '=maybe,to=3'"},
      {"tcp:h:0,ipv4=", "error parsing 'ipv4' flag '='"},
      {"tcp:h:0,ipv6x", "error parsing 'ipv6' flag 'x'"},
      {"tcp:h:0,keep-alive=maybe", "error parsing 'keep-alive' flag '=maybe'"},
      {"unix:", "invalid Unix socket address"},
      {"vsock:", "error parsing address ''"},
      {"vsock:1", "error parsing address '1'"},
      {"vsock:1:", "error parsing address '1:'"},
      {"rdma:", "RDMA ERROR: bad RDMA migration address ''"},
      {"rdma:h", "RDMA ERROR: bad RDMA migration address 'h'"},
      {"file:", "invalid file address: the path is empty"},
      {"file:,offset=1", "invalid file address: the path is empty"},
      {"file:x,offset=", "invalid offset '' in a file address"},
      {"file:x,offset=1x", "invalid offset '1x' in a file address"},
      {"file:x,offset=-1", "invalid offset '-1' in a file address"},
      {"file:x,offset=9223372036854775808", "invalid offset '9223372036854775808' in a file address"},
      {"file:x,offset=9000000T", "invalid offset '9000000T' in a file address"},
      {std::string("unix:/a\0b", 9), "the address contains a zero byte"},
  };
  for (const auto& [uri, error] : cases) {
    for (const auto direction : {Direction::outgoing, Direction::incoming}) {
      const auto parsed = parse_address(uri, direction);
      ASSERT_FALSE(parsed.has_value()) << uri;
      EXPECT_EQ(parsed.error().what(), error);
    }
  }
}

TEST(ParseAddress, UnknownSchemesHaveADifferentTextInEachDirection) {
  for (const std::string uri : {"", "bogus", "bogus:x", "defer", "tcp", "TCP:x:1"}) {
    EXPECT_EQ(parse_address(uri, Direction::outgoing).error().what(),
              "Parameter 'uri' expects a valid migration protocol");
    EXPECT_EQ(parse_address(uri, Direction::incoming).error().what(), "unknown migration protocol: " + uri);
  }
}

TEST(Address, KnowsWhatItsTransportCan) {
  const Address tcp = Tcp{};
  const Address exec = Exec{};
  EXPECT_TRUE(supports_multiple_channels(tcp));
  EXPECT_FALSE(supports_multiple_channels(exec));
  EXPECT_FALSE(connects_at_once(tcp));
  EXPECT_TRUE(connects_at_once(exec));
}

}  // namespace
}  // namespace godwit::channel

// `godwit demo` as an operator runs it, with the VMM that GODWIT_DEMO_VMM names.
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <iterator>
#include <map>
#include <optional>
#include <unistd.h>

#include "base/testing/not_tested_here.h"
#include "cli/demo/machine.h"
#include "cli/demo/verify.h"
#include "cli/temporary_directory.h"
#include "cli/vmm_process.h"

namespace godwit::cli::demo {
namespace {

using ::testing::HasSubstr;

constexpr Milliseconds demo_limit{120'000};
constexpr std::uint64_t mib = 1 << 20;

const StopRequest nobody_stops;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs the tool; all it leaves behind would be in a directory of this test.
class DemoTest : public ::testing::Test {
 protected:
  DemoTest() : directory_(*TemporaryDirectory::create()) {
    std::filesystem::create_directory(directory_.file("tmp"));
    ::setenv("TMPDIR", directory_.file("tmp").c_str(), 1);
  }
  ~DemoTest() override { ::unsetenv("TMPDIR"); }

  VmmProcess start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"demo", "--vmm", GODWIT_DEMO_VMM});
    auto process = VmmProcess::start(GODWIT_TOOL, arguments, output_path());
    EXPECT_TRUE(process) << process.error().explain();
    return std::move(*process);
  }

  static void wait_until_ended(VmmProcess& process) {
    const int fds[] = {process.ended_fd()};
    ASSERT_TRUE(wait_readable(fds, after(demo_limit), nobody_stops).value_or(false))
        << "the demo does not end";
  }

  /// Waits until the tool has written that.
  void wait_for_output(VmmProcess& process, std::string_view text) {
    const int fds[] = {process.ended_fd()};
    const Deadline deadline = after(demo_limit);
    while (output().find(text) == std::string::npos) {
      ASSERT_FALSE(wait_readable(fds, after(Milliseconds(5)), nobody_stops).value_or(true)) << output();
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << output();
    }
  }

  boost::json::object json() const {
    boost::json::error_code error;
    auto value = boost::json::parse(output(), error);
    EXPECT_FALSE(error) << output();
    return value.is_object() ? value.as_object() : boost::json::object();
  }

  std::string output() const { return text_of(output_path()); }
  std::string output_path() const { return directory_.file("output"); }

  /// The process numbers of the two VMMs, by the names they were started with.
  std::map<std::string, pid_t> machines() const {
    std::map<std::string, pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const auto command = text_of(entry.path().string() + "/cmdline");
      if (command.find(directory_.path()) == std::string::npos) continue;
      for (const char* name : {"godwit-demo-source", "godwit-demo-destination"})
        if (command.find(name) != std::string::npos)
          found[name] = std::stoi(entry.path().filename().string());
    }
    return found;
  }

  std::optional<pid_t> machine(const std::string& name) const {
    const auto all = machines();
    const auto found = all.find(name);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  }

  void expect_nothing_left() const {
    EXPECT_THAT(machines(), ::testing::IsEmpty());
    EXPECT_TRUE(std::filesystem::is_empty(directory_.file("tmp")));
  }

  TemporaryDirectory directory_;
};

void expect_good(const boost::json::object& json) {
  EXPECT_EQ(json.at("verdict"), "ok") << json;
  EXPECT_EQ(json.at("guest").at("runs-on"), true);
  EXPECT_GT(json.at("guest").at("blackout-ms").to_number<double>(), 0);
  EXPECT_GE(json.at("migration").at("downtime-ms").as_int64(), 0);
  EXPECT_GE(json.at("migration").at("passes").as_int64(), 2);
  EXPECT_GT(json.at("migration").at("transferred-bytes").as_int64(),
            json.at("setup").at("filled-bytes").to_number<std::int64_t>());
  EXPECT_GT(json.at("checks").at("page-writes").to_number<std::int64_t>(), 0);
  EXPECT_EQ(json.at("checks").at("words-wrong"), 0);
}

class DemoOverEachTransport : public DemoTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(DemoOverEachTransport, LosesNothing) {
  auto process =
      start({"--accel", "tcg", "--size", "64M", "--hot", "2M", "--json", "--transport", GetParam()});
  wait_until_ended(process);
  EXPECT_EQ(process.how_it_ended(), "exited with status 0");
  expect_good(json());
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(All, DemoOverEachTransport, ::testing::Values(GODWIT_DEMO_TRANSPORTS),
                         [](const auto& transport) { return std::string(transport.param); });

TEST_F(DemoTest, LosesNothingInHardware) {
  if (usable_accelerator() != Accelerator::kvm) NOT_TESTED_HERE() << "/dev/kvm cannot be used here";
  auto process = start({"--accel", "kvm", "--size", "256M", "--json"});
  wait_until_ended(process);
  EXPECT_EQ(process.how_it_ended(), "exited with status 0");
  expect_good(json());
  expect_nothing_left();
}

TEST_F(DemoTest, TellsInPlainLinesWhereThereIsNoTerminal) {
  auto process = start({"--accel", "tcg", "--size", "64M", "--hot", "2M"});
  wait_until_ended(process);
  EXPECT_EQ(process.how_it_ended(), "exited with status 0");
  EXPECT_THAT(output(), HasSubstr("\nmoving "));
  EXPECT_THAT(output(), HasSubstr("\nNothing was lost. The guest runs on in process "));
  EXPECT_THAT(output(), ::testing::Not(HasSubstr("\x1b")));
}

TEST_F(DemoTest, GivesUpAMoveThatCannotEndAndTheGuestRunsOn) {
  auto process = start({"--accel", "tcg", "--size", "64M", "--hot", "32M", "--bandwidth", "8M",
                        "--time-limit", "3", "--json"});
  wait_until_ended(process);
  EXPECT_EQ(process.how_it_ended(), "exited with status 1");
  EXPECT_EQ(json().at("verdict"), "not-moved");
  EXPECT_EQ(json().at("guest").at("runs-on-at-the-source"), true);
  EXPECT_THAT(json().at("problems").at(0).as_string().c_str(),
              HasSubstr("did not come to an end within 3.00 s"));
  expect_nothing_left();
}

TEST_F(DemoTest, LeavesNothingBehindWhenInterrupted) {
  auto process = start({"--accel", "tcg", "--size", "64M", "--bandwidth", "1M"});
  wait_for_output(process, "active, pass 1");
  EXPECT_EQ(machines().size(), 2);
  ::kill(process.pid(), SIGINT);
  wait_until_ended(process);
  EXPECT_EQ(process.how_it_ended(), "exited with status 130");
  EXPECT_THAT(output(), HasSubstr("interrupted by SIGINT"));
  expect_nothing_left();
}

TEST_F(DemoTest, LeavesNoProcessBehindWhenKilled) {
  auto process = start({"--accel", "tcg", "--size", "64M", "--bandwidth", "1M"});
  wait_for_output(process, "active, pass 1");
  const auto pids = machines();
  ASSERT_EQ(pids.size(), 2);
  std::vector<UniqueFd> watched;
  for (const auto& [name, pid] : pids)
    watched.emplace_back(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  ::kill(process.pid(), SIGKILL);
  for (const auto& fd : watched) {
    const int fds[] = {fd.get()};
    EXPECT_TRUE(wait_readable(fds, after(Milliseconds(10'000)), nobody_stops).value_or(false));
  }
}

TEST_F(DemoTest, DestinationThatDiesLeavesTheGuestAtTheSource) {
  auto process = start({"--accel", "tcg", "--size", "64M", "--bandwidth", "1M"});
  wait_for_output(process, "active, pass 1");
  const auto pid = machine("godwit-demo-destination");
  ASSERT_TRUE(pid);
  ::kill(*pid, SIGKILL);
  wait_until_ended(process);
  EXPECT_EQ(process.how_it_ended(), "exited with status 1");
  EXPECT_THAT(output(), HasSubstr("was ended by signal 9"));
  EXPECT_THAT(output(), HasSubstr("The guest runs on where it was, unharmed."));
  expect_nothing_left();
}

TEST_F(DemoTest, SourceThatDiesIsNamed) {
  auto process = start({"--accel", "tcg", "--size", "64M", "--bandwidth", "1M"});
  wait_for_output(process, "active, pass 1");
  const auto pid = machine("godwit-demo-source");
  ASSERT_TRUE(pid);
  ::kill(*pid, SIGKILL);
  wait_until_ended(process);
  EXPECT_EQ(process.how_it_ended(), "exited with status 1");
  EXPECT_THAT(output(), HasSubstr("source, moving: " GODWIT_DEMO_VMM " was ended by signal 9"));
  expect_nothing_left();
}

/// A witness guest that runs in one VMM, for what the checks do when something is wrong.
class WitnessTest : public DemoTest {
 protected:
  void SetUp() override {
    Options wanted;
    wanted.accelerator = Accelerator::tcg;
    wanted.ram_bytes = 48 * mib;
    wanted.hot_bytes = 2 * mib;
    wanted.source_vmm = GODWIT_DEMO_VMM;
    auto options = complete(wanted);
    ASSERT_TRUE(options) << options.error().explain();
    parameters_ = witness_parameters(*options, 1e9);
    const auto image = witness_image(parameters_);
    std::ofstream(directory_.file("image"), std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
    auto machine = Machine::start(Side::source, *options, directory_.file("image"), directory_, nobody_stops);
    ASSERT_TRUE(machine) << machine.error().explain();
    machine_ = std::move(*machine);
    const Deadline deadline = after(demo_limit);
    while (info().pass < 2) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  }

  WitnessInfo info() {
    auto info = read_info(machine_->memory());
    EXPECT_TRUE(info);
    return info.value_or(WitnessInfo{});
  }

  void change_byte(std::uint64_t address) {
    std::byte byte{};
    ASSERT_TRUE(machine_->memory().read(address, {&byte, 1}));
    byte ^= std::byte{1};
    ASSERT_TRUE(machine_->memory().write(address, {&byte, 1}));
  }

  PageCheck hot_pages() {
    EXPECT_TRUE(machine_->monitor().execute<schema::command::stop>());
    auto check = check_hot_pages(machine_->memory(), parameters_, info().pass);
    EXPECT_TRUE(check);
    return check.value_or(PageCheck{});
  }

  Findings examine() {
    const auto before = info();
    auto findings = verify(*machine_, parameters_, before, GuestClock(before, before, 1e9), {},
                           *make_no_audience(), nobody_stops);
    EXPECT_TRUE(findings) << findings.error().explain();
    return findings.value_or(Findings{});
  }

  WitnessParameters parameters_;
  std::unique_ptr<Machine> machine_;
};

TEST_F(WitnessTest, UnharmedGuestPassesEveryCheck) {
  const auto findings = examine();
  EXPECT_TRUE(findings.runs_on);
  EXPECT_EQ(findings.guest_errors, 0);
  EXPECT_EQ(findings.hot.bad_pages, 0) << findings.hot.first_bad;
  EXPECT_EQ(findings.hot.pages, 512);
  EXPECT_EQ(findings.sampled.bad_pages, 0) << findings.sampled.first_bad;
}

TEST_F(WitnessTest, GuestFindsAStaticWordThatChanged) {
  change_byte(data_address + (parameters_.fill_pages - 1) * page_bytes + 4095);
  EXPECT_EQ(examine().guest_errors, 1);
}

TEST_F(WitnessTest, StaticWordThatChangedIsSeenFromOutside) {
  change_byte(data_address + parameters_.hot_pages * page_bytes + 16);
  const auto check = check_static_pages(machine_->memory(), parameters_, parameters_.fill_pages, 1);
  ASSERT_TRUE(check);
  EXPECT_EQ(check->bad_pages, 1);
  EXPECT_THAT(check->first_bad, HasSubstr("word 2 of the page at 0x1200000"));
}

TEST_F(WitnessTest, HotWordThatChangedIsSeenFromOutside) {
  EXPECT_EQ(hot_pages().bad_pages, 0);
  change_byte(data_address + 100 * page_bytes);
  EXPECT_GE(hot_pages().bad_pages, 1);
}

TEST_F(WitnessTest, GuestThatIsStoppedDoesNotRun) {
  ASSERT_TRUE(machine_->monitor().execute<schema::command::stop>());
  EXPECT_EQ(guest_runs(machine_->memory(), Milliseconds(50), nobody_stops), false);
  ASSERT_TRUE(machine_->monitor().execute<schema::command::cont>());
  EXPECT_EQ(guest_runs(machine_->memory(), Milliseconds(10'000), nobody_stops), true);
}

}  // namespace
}  // namespace godwit::cli::demo

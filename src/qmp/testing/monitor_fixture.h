// A Monitor with a main loop of its own, and commands whose progress a test can hold.
#pragma once

#include <atomic>
#include <boost/json.hpp>
#include <functional>
#include <gtest/gtest.h>
#include <mutex>
#include <stdlib.h>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/testing/temporary_directory.h"
#include "qmp/monitor.h"
#include "qmp/testing/client.h"
#include "qmp/testing/fake_commands.h"
#include "qmp/testing/main_loop.h"

namespace godwit::qmp::testing {

/// Besides the fake machine:
/// `hold`     in-band: sets holding_, waits for release_
/// `note`     in-band: records its id-like argument `tag` in notes()
/// `quit`     in-band: does on_quit()
/// `announce` both ways: emits the event ANNOUNCED, then returns
class MonitorTest : public ::testing::Test {
 protected:
  MonitorTest() {
    add_fake_machine(table_);
    add("hold", false, [this](const boost::json::object&) {
      holding_.set();
      release_.wait();
    });
    add("note", false, [this](const boost::json::object& arguments) {
      const std::lock_guard lock(mutex_);
      notes_.emplace_back(arguments.at("tag").as_string());
    });
    add("quit", false, [this](const boost::json::object&) {
      const std::lock_guard lock(mutex_);
      on_quit_();
    });
    add("announce", true, [this](const boost::json::object&) { monitor_->emit("ANNOUNCED", std::nullopt); });
    monitor_ = std::make_unique<Monitor>(table_, loop_.executor());
  }

  ~MonitorTest() override {
    release_.set();
    // Closed while the pointer is still there: commands that run until then use it.
    if (monitor_) monitor_->close(Milliseconds(0));
    monitor_.reset();
  }

  void add(std::string_view name, bool allow_oob, std::function<void(const boost::json::object&)> effect) {
    table_.add({name, allow_oob,
                [effect = std::move(effect)](const boost::json::object& arguments,
                                             Context&) -> Result<boost::json::value> {
                  effect(arguments);
                  return boost::json::object();
                }});
  }

  std::string path(const std::string& name) const { return directory_.file(name); }

  /// A server on a unix socket of that name; returns its address.
  std::string serve(const std::string& name, Monitor::Options options = {}) {
    const auto address = monitor_->add(UnixEndpoint{path(name), Listening{}}, options);
    EXPECT_TRUE(address) << address.error().what();
    return address.value_or("");
  }

  static std::string note(const std::string& tag) {
    return R"({"execute":"note","arguments":{"tag":")" + tag + "\"}}";
  }

  void on_quit(std::function<void()> effect) {
    const std::lock_guard lock(mutex_);
    on_quit_ = std::move(effect);
  }

  std::vector<std::string> notes() {
    const std::lock_guard lock(mutex_);
    return notes_;
  }

  /// True if `event` came within the deadline.
  static bool soon(const Event& event) { return SteadyClock().wait_for(event, deadline); }

  test::TemporaryDirectory directory_;
  CommandTable table_;
  Event holding_;
  Event release_;
  std::mutex mutex_;
  std::vector<std::string> notes_;
  std::function<void()> on_quit_;
  MainLoop loop_;
  std::unique_ptr<Monitor> monitor_;
};

}  // namespace godwit::qmp::testing

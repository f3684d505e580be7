#include "vm/accel/vcpu_thread.h"

#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>
#include <new>
#include <optional>

#include "vm/accel/vcpu_set.h"

namespace godwit::vm {
namespace {

/// A vCPU whose guest does nothing until somebody tells it how to end.
class FakeVcpu final : public Vcpu {
 public:
  Result<> attach() override { return {}; }
  Result<VcpuExit> run() override {
    std::unique_lock lock(mutex_);
    ++runs_;
    executing_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return interrupted_ || ending_ || without_memory_; });
    executing_ = false;
    changed_.notify_all();
    if (without_memory_) throw std::bad_alloc();
    if (!ending_) return VcpuExit::interrupted;
    auto ending = *ending_;
    ending_.reset();
    return ending;
  }
  void interrupt() noexcept override { set(interrupted_, true); }
  void clear_interrupt() noexcept override { set(interrupted_, false); }
  Result<CpuState> state() override { return CpuState(); }
  Result<> set_state(const CpuState&) override { return {}; }

  void end_with(Result<VcpuExit> ending) {
    const std::lock_guard lock(mutex_);
    ending_ = std::move(ending);
    changed_.notify_all();
  }
  void end_without_memory() { set(without_memory_, true); }
  void wait_for_run(int number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return runs_ >= number && (executing_ || runs_ > number); });
  }
  bool executing() {
    const std::lock_guard lock(mutex_);
    return executing_;
  }
  int runs() {
    const std::lock_guard lock(mutex_);
    return runs_;
  }

 private:
  void set(bool& flag, bool value) {
    const std::lock_guard lock(mutex_);
    flag = value;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int runs_ = 0;
  bool executing_ = false;
  bool interrupted_ = false;
  bool without_memory_ = false;
  std::optional<Result<VcpuExit>> ending_;
};

class VcpuThreadTest : public ::testing::Test, protected VcpuObserver {
 protected:
  VcpuThreadTest() {
    auto vcpu = std::make_unique<FakeVcpu>();
    vcpu_ = vcpu.get();
    thread_.emplace(3, std::move(vcpu), static_cast<VcpuObserver&>(*this));
    EXPECT_TRUE(thread_->start());
  }
  void on_vcpu_reset(unsigned index) override {
    EXPECT_EQ(index, 3u);
    told_.set();
  }
  void on_vcpu_error(unsigned, const Error& error) override {
    error_ = error.what();
    told_.set();
  }

  Event told_;
  std::string error_;
  FakeVcpu* vcpu_ = nullptr;
  std::optional<VcpuThread> thread_;
};

TEST_F(VcpuThreadTest, StartsStopped) {
  EXPECT_NE(thread_->thread_id(), 0);
  thread_->wait_until_stopped();
  EXPECT_EQ(vcpu_->runs(), 0);
}

TEST_F(VcpuThreadTest, NothingExecutesAfterStop) {
  for (int i = 1; i <= 100; ++i) {
    thread_->resume();
    vcpu_->wait_for_run(i);
    thread_->request_stop();
    thread_->wait_until_stopped();
    ASSERT_FALSE(vcpu_->executing());
    ASSERT_EQ(vcpu_->runs(), i);
  }
}

TEST_F(VcpuThreadTest, StopRightAfterResumeIsExactToo) {
  for (int i = 0; i < 1000; ++i) {
    thread_->resume();
    thread_->request_stop();
    thread_->wait_until_stopped();
    ASSERT_FALSE(vcpu_->executing());
  }
}

TEST_F(VcpuThreadTest, DoesNotExecuteDuringACall) {
  std::jthread other;
  thread_->call([&](Vcpu& vcpu) {
    EXPECT_EQ(&vcpu, vcpu_);
    other = std::jthread([&] { thread_->resume(); });
    EXPECT_EQ(vcpu_->runs(), 0);
  });
  vcpu_->wait_for_run(1);
}

TEST_F(VcpuThreadTest, AResetParksTheVcpuUntilItHasANewState) {
  thread_->resume();
  vcpu_->wait_for_run(1);
  vcpu_->end_with(VcpuExit::reset);
  told_.wait();
  thread_->request_stop();
  thread_->wait_until_stopped();
  thread_->resume();
  EXPECT_EQ(vcpu_->runs(), 1);
  thread_->unpark();
  vcpu_->wait_for_run(2);
}

TEST_F(VcpuThreadTest, AnErrorIsReportedOnce) {
  thread_->resume();
  vcpu_->wait_for_run(1);
  vcpu_->end_with(std::unexpected(Error("broken")));
  told_.wait();
  EXPECT_EQ(error_, "broken");
  thread_->unpark();
  vcpu_->wait_for_run(2);
  EXPECT_EQ(vcpu_->runs(), 2) << "it had not run in between";
}

TEST_F(VcpuThreadTest, MemoryThatRunsOutIsAnError) {
  thread_->resume();
  vcpu_->wait_for_run(1);
  vcpu_->end_without_memory();
  told_.wait();
  EXPECT_EQ(error_, "Out of memory");
}

TEST_F(VcpuThreadTest, AHaltIsSilent) {
  thread_->resume();
  vcpu_->wait_for_run(1);
  vcpu_->end_with(VcpuExit::halted);
  thread_->wait_until_stopped();
  thread_->unpark();
  vcpu_->wait_for_run(2);
  EXPECT_EQ(vcpu_->runs(), 2) << "it had not run in between";
  EXPECT_FALSE(told_.is_set());
}

TEST_F(VcpuThreadTest, SleepsAndIsWokenByStop) {
  thread_->resume();
  vcpu_->wait_for_run(1);
  thread_->request_sleep(std::chrono::hours(1));
  thread_->request_stop();
  thread_->wait_until_stopped();
  thread_->resume();
  vcpu_->wait_for_run(2);  // would take an hour if the sleep had outlived the stop
}

TEST_F(VcpuThreadTest, ASleepEndsWhenItIsCancelled) {
  thread_->resume();
  vcpu_->wait_for_run(1);
  thread_->request_sleep(std::chrono::hours(1));
  thread_->wait_until_stopped();
  thread_->cancel_sleep();
  vcpu_->wait_for_run(2);
}

TEST_F(VcpuThreadTest, GoesOnByItselfAfterASleep) {
  thread_->resume();
  vcpu_->wait_for_run(1);
  thread_->request_sleep(std::chrono::milliseconds(1));
  vcpu_->wait_for_run(2);
}

TEST_F(VcpuThreadTest, CanBeAskedAfterItsEnd) {
  thread_->shut_down();
  bool called = false;
  thread_->call([&](Vcpu&) { called = true; });
  EXPECT_TRUE(called);
}

}  // namespace
}  // namespace godwit::vm

// Moves the heap of an ordinary program into another process while the program goes on writing to it.
//
//   ./move_heap receive unix:/tmp/heap &
//   ./move_heap send unix:/tmp/heap
//
// All that a "virtual machine" has to be: memory, a way to stop whoever writes to it, and a little state.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string_view>
#include <sys/mman.h>
#include <thread>

#include <godwit/field_table.h>
#include <godwit/migration.h>
#include <godwit/user_tracker.h>

using godwit::Result;
using godwit::RunState;
using godwit::schema::MigrationStatus;

/// The state of the worker beside its heap. Each page holds the number of the round that wrote it last.
struct Worker {
  std::uint64_t round = 0;
  std::uint64_t next_page = 0;
};

class Heap final : public godwit::Guest {
 public:
  static constexpr std::uint64_t pages = 16384;

  Heap(std::unique_ptr<godwit::DirtyTracker> tracker, RunState state)
      : tracker_(std::move(tracker)), state_(state) {
    void* memory = ::mmap(nullptr, pages * godwit::page_size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    block_ = {.name = "heap", .host = static_cast<std::byte*>(memory), .size = pages * godwit::page_size};
    static const auto table = godwit::FieldTable<Worker>("worker", {.version = 1})
                                  .field("round", &Worker::round)
                                  .field("next_page", &Worker::next_page, godwit::in_range(0u, pages - 1));
    sections_.push_back(godwit::make_section("worker", 0, table, worker_));
  }
  ~Heap() override { stop_worker(); }

  std::string machine_name() const override { return "heap"; }
  std::span<const godwit::RamBlock> ram_blocks() const override { return {&block_, 1}; }
  godwit::DirtyTracker& dirty_tracker() override { return *tracker_; }
  std::span<const std::unique_ptr<godwit::DeviceSection>> device_sections() override { return sections_; }
  RunState run_state() const override { return state_; }

  Result<> set_run_state(RunState state) override {
    stop_worker();
    state_ = state;
    if (state == RunState::running) thread_ = std::jthread([this](std::stop_token stop) { work(stop); });
    return {};
  }

  /// Pages before next_page are of this round, the others of the one before: anything else is a lost write.
  std::uint64_t lost_writes() {
    stop_worker();
    std::uint64_t lost = 0;
    for (std::uint64_t page = 0; page < pages; ++page)
      lost += *word(page) != worker_.round - (page < worker_.next_page || worker_.next_page == 0 ? 0 : 1);
    return lost;
  }
  std::uint64_t rounds() const { return worker_.round; }

 private:
  void work(std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (worker_.next_page == 0) ++worker_.round;
      *word(worker_.next_page) = worker_.round;
      worker_.next_page = (worker_.next_page + 1) % pages;
    }
  }
  std::uint64_t* word(std::uint64_t page) const {
    return reinterpret_cast<std::uint64_t*>(block_.host + page * godwit::page_size);
  }
  void stop_worker() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  std::unique_ptr<godwit::DirtyTracker> tracker_;
  std::atomic<RunState> state_;
  godwit::RamBlock block_;
  Worker worker_;
  std::vector<std::unique_ptr<godwit::DeviceSection>> sections_;
  std::jthread thread_;
};

class Waiter final : public godwit::MigrationObserver {
 public:
  void on_status(MigrationStatus status) override { tell(status); }
  void on_pass(std::int64_t pass) override { std::printf("pass %lld\n", static_cast<long long>(pass)); }
  void on_incoming_failed(const godwit::Error& error) override {
    std::fprintf(stderr, "%s\n", error.explain().c_str());
    tell(MigrationStatus::failed);
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock,
                  [this] { return last_ == MigrationStatus::completed || last_ == MigrationStatus::failed; });
    return last_ == MigrationStatus::completed;
  }

 private:
  void tell(MigrationStatus status) {
    std::lock_guard lock(mutex_);
    last_ = status;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  MigrationStatus last_ = MigrationStatus::none;
};

int give_up(const godwit::Error& error) {
  std::fprintf(stderr, "move_heap: %s\n", error.explain().c_str());
  return 1;
}

int main(int argc, char** argv) {
  const std::string_view role = argc == 3 ? argv[1] : "";
  if (role != "send" && role != "receive") {
    std::fprintf(stderr, "usage: move_heap send|receive URI\n");
    return 2;
  }
  auto tracker = godwit::make_user_tracker();
  if (!tracker) return give_up(tracker.error());
  const bool sends = role == "send";
  Heap heap(std::move(*tracker), sends ? RunState::paused : RunState::inmigrate);
  Waiter waiter;
  godwit::SteadyClock clock;
  godwit::NoDescriptors descriptors;
  godwit::Migration migration(heap, waiter, clock, {.incoming_expected = !sends});
  // Events on both sides; the source also listens to what the destination answers.
  using Capability = godwit::schema::MigrationCapability;
  if (auto set = migration.set_capabilities({{Capability::events, true}, {Capability::return_path, sends}});
      !set)
    return give_up(set.error());

  // The worker rewrites all of its heap without pause, so it has to stand still for about as long as the heap
  // takes.
  godwit::schema::MigrateSetParameters patience;
  patience.max_bandwidth = 0;
  patience.downtime_limit = 10'000;
  if (auto set = migration.set_parameters(patience); !set) return give_up(set.error());

  Result<> started;
  if (sends) {
    if (auto running = heap.set_run_state(RunState::running); !running) return give_up(running.error());
    godwit::schema::MigrateArguments request;
    request.uri = argv[2];
    started = migration.migrate(request, descriptors);
  } else {
    started = migration.incoming(argv[2], descriptors);
  }
  if (!started) return give_up(started.error());
  if (!waiter.wait()) {
    std::fprintf(stderr, "move_heap: %s\n", migration.info().error_desc.value_or("failed").c_str());
    return 1;
  }
  if (sends) {
    std::printf("sent, standing still for %lld ms\n",
                static_cast<long long>(migration.info().downtime.value_or(-1)));
    return 0;
  }
  const std::uint64_t lost = heap.lost_writes();
  std::printf("received, and written on to round %llu: %llu writes lost\n",
              static_cast<unsigned long long>(heap.rounds()), static_cast<unsigned long long>(lost));
  return lost == 0 ? 0 : 1;
}

// Whole machines, on every accelerator there is.
#include "vm/machine.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <gmock/gmock.h>
#include <string>
#include <vector>

#include "base/testing/not_tested_here.h"
#include "vm/testing/machine_rig.h"

namespace godwit::vm {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// A boot sector of these bytes.
std::vector<std::byte> sector(std::initializer_list<int> code) {
  std::vector<std::byte> bytes(512);
  std::size_t at = 0;
  for (const int byte : code) bytes[at++] = static_cast<std::byte>(byte);
  bytes[510] = std::byte{0x55};
  bytes[511] = std::byte{0xaa};
  return bytes;
}

/// Sends "Hi" and halts.
std::vector<std::byte> hello_sector() {
  return sector({0xba, 0xf8, 0x03, 0xb0, 'H', 0xee, 0xb0, 'i', 0xee, 0xfa, 0xf4});
}

/// The witness, but with `ud2` for its first instruction in ring 3: without handlers that is a triple fault.
std::vector<std::byte> faulting_sector() {
  auto image = witness_sector({});
  const std::byte first_in_ring_3[] = {std::byte{0xbb}, std::byte{0x00}, std::byte{0x90}, std::byte{0},
                                       std::byte{0}};
  const auto found = std::ranges::search(image, first_in_ring_3);
  EXPECT_FALSE(found.empty());
  found[0] = std::byte{0x0f};
  found[1] = std::byte{0x0b};
  return image;
}

std::vector<std::string> names_of_sections(Machine& machine) {
  std::vector<std::string> names;
  for (const auto& section : machine.device_sections())
    names.push_back(section->identity().name + "/" + std::to_string(section->identity().instance));
  return names;
}

std::string skip_reason(const std::string& accelerator) {
  if (accelerator == "kvm" && !has_kvm()) return "/dev/kvm cannot be used here";
  if (accelerator == "tcg" && !has_unicorn()) return "this build has no Unicorn";
  return "";
}

class OnAccelerator : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (const auto reason = skip_reason(GetParam()); !reason.empty()) NOT_TESTED_HERE() << reason;
  }
};

INSTANTIATE_TEST_SUITE_P(Accelerators, OnAccelerator, ::testing::Values("kvm", "tcg"),
                         [](const auto& test) { return test.param; });

TEST_P(OnAccelerator, BootsASectorThatPrints) {
  MachineRig rig(GetParam(), hello_sector());
  ASSERT_TRUE(rig);
  EXPECT_EQ(rig->accelerator(), GetParam());
  EXPECT_EQ(rig->run_state(), RunState::prelaunch);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_serial("Hi");
  ASSERT_TRUE(rig->monitor_stop()) << "a halted vCPU can be stopped";
  EXPECT_EQ(rig.serial(), "Hi");
  EXPECT_THAT(rig.events(), ElementsAre("RESUME", "STOP"));
}

TEST_P(OnAccelerator, AHaltedGuestStaysHaltedWhenItMoves) {
  MachineRig source(GetParam(), hello_sector());
  MachineRig target(GetParam(), hello_sector(), [](MachineConfig& config) { config.incoming = true; });
  ASSERT_TRUE(source && target);
  ASSERT_TRUE(source->monitor_cont());
  source.wait_for_serial("Hi");
  ASSERT_TRUE(source->monitor_stop());
  move_guest(*source, *target);
  ASSERT_TRUE(target->set_run_state(RunState::running));
  ASSERT_TRUE(target->set_run_state(RunState::paused));
  EXPECT_EQ(target.serial(), "");
}

TEST_P(OnAccelerator, TheWitnessRunsInRing3) {
  MachineRig rig(GetParam(), witness_sector({}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig.wait_until_ready());
  const auto before = witness_records(*rig);
  EXPECT_TRUE(rig.wait_until([&] { return witness_records(*rig).pass > before.pass + 10; }));
  EXPECT_EQ(witness_records(*rig).errors, before.errors);
}

TEST_P(OnAccelerator, NothingExecutesWhileStopped) {
  MachineRig rig(GetParam(), witness_sector({}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig.wait_until_ready());
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(rig->monitor_stop());
    const auto at_stop = witness_records(*rig).iterations;
    for (int look = 0; look < 100; ++look) ASSERT_EQ(witness_records(*rig).iterations, at_stop);
    ASSERT_TRUE(rig->monitor_cont());
  }
  const auto errors = witness_records(*rig).errors;
  rig.wait_for_bytes(1);
  EXPECT_EQ(witness_records(*rig).errors, errors);
}

TEST_P(OnAccelerator, ResetStartsOver) {
  MachineRig rig(GetParam(), hello_sector());
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_serial("Hi");
  ASSERT_TRUE(rig->monitor_reset());
  EXPECT_EQ(rig->run_state(), RunState::running);
  rig.wait_for_serial("HiHi");
  ASSERT_TRUE(rig->monitor_stop());
  ASSERT_TRUE(rig->monitor_reset());
  EXPECT_EQ(rig->run_state(), RunState::prelaunch);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_serial("HiHiHi");
}

/// What the kernel has counted for a thread. Its share of a processor has an upper bound when it is
/// throttled, however busy the machine is; and a thread that is not does not go to sleep by itself.
struct ThreadUse {
  double processor_s = 0;
  std::uint64_t sleeps = 0;
  std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now();
};

ThreadUse use_of(int thread_id) {
  const std::string task = "/proc/self/task/" + std::to_string(thread_id);
  ThreadUse use;
  double nanoseconds = 0;
  std::ifstream(task + "/schedstat") >> nanoseconds;
  use.processor_s = nanoseconds / 1e9;
  std::ifstream status(task + "/status");
  for (std::string word; status >> word;)
    if (word == "voluntary_ctxt_switches:") status >> use.sleeps;
  return use;
}

TEST_P(OnAccelerator, ThrottlingSlowsTheGuestDown) {
  MachineRig rig(GetParam(), witness_sector({}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig.wait_until_ready());
  struct Rates {
    double share;
    double sleeps_per_s;
  };
  const auto observe = [&]() -> Rates {
    rig.wait_for_bytes(1);
    const ThreadUse begin = use_of(rig->vcpus().front().thread_id);
    rig.wait_for_bytes(6);
    const ThreadUse end = use_of(rig->vcpus().front().thread_id);
    const double elapsed_s = std::chrono::duration<double>(end.at - begin.at).count();
    return {(end.processor_s - begin.processor_s) / elapsed_s,
            static_cast<double>(end.sleeps - begin.sleeps) / elapsed_s};
  };
  rig->set_throttle(90);
  const Rates throttled = observe();
  rig->set_throttle(0);
  const Rates free = observe();
  EXPECT_LT(throttled.share, 0.3);
  EXPECT_GT(throttled.sleeps_per_s, 2);
  EXPECT_LT(free.sleeps_per_s, throttled.sleeps_per_s);
}

TEST_P(OnAccelerator, AThrottledGuestStopsAtOnce) {
  MachineRig rig(GetParam(), witness_sector({}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig.wait_until_ready());
  rig->set_throttle(99);
  // Each sleep is 990 ms: were they not cut short, this would take minutes.
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(rig->monitor_stop());
    ASSERT_TRUE(rig->monitor_cont());
  }
}

TEST_P(OnAccelerator, TheTrackerFindsTheHotSet) {
  constexpr std::uint64_t first_hot = 0x1000000 / page_size;
  MachineRig rig(GetParam(), witness_sector({.fill_pages = 64, .hot_pages = 16}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig.wait_until_ready());
  DirtyTracker& tracker = rig->dirty_tracker();
  const auto started = tracker.start(rig->ram_blocks());
  ASSERT_TRUE(started) << started.error().what();
  std::vector<DirtyBitmap> bitmaps(1, DirtyBitmap(rig->ram_blocks()[0].pages()));
  const auto collect_and_forget = [&] {  // as a sender does: what was reported once counts as sent
    ASSERT_TRUE(tracker.collect(bitmaps));
    ASSERT_TRUE(tracker.rearm(0, {0, bitmaps[0].pages()}, bitmaps[0]));
    bitmaps[0].clear_all();
  };
  collect_and_forget();
  const auto pass = witness_records(*rig).pass;
  ASSERT_TRUE(rig.wait_until([&] { return witness_records(*rig).pass > pass + 2; }));
  ASSERT_TRUE(tracker.collect(bitmaps));
  for (std::uint64_t page = first_hot; page < first_hot + 16; ++page)
    EXPECT_TRUE(bitmaps[0].test(page)) << page;
  EXPECT_FALSE(bitmaps[0].test(first_hot + 40)) << "filled before, and not rewritten";

  // What nobody but us writes.
  ASSERT_TRUE(rig->monitor_stop());
  collect_and_forget();
  const std::byte one[] = {std::byte{1}};
  rig->write_memory((first_hot + 50) * page_size + 7, one);
  ASSERT_TRUE(tracker.collect(bitmaps));
  EXPECT_TRUE(bitmaps[0].test(first_hot + 50));
  EXPECT_EQ(bitmaps[0].count(), 1u);
  tracker.stop();
}

TEST_P(OnAccelerator, OtherProcessorsWait) {
  MachineRig rig(GetParam(), hello_sector(), [](MachineConfig& config) { config.vcpus = 3; });
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_serial("Hi");
  ASSERT_TRUE(rig->monitor_stop());
  EXPECT_EQ(rig.serial(), "Hi");
  const auto vcpus = rig->vcpus();
  ASSERT_EQ(vcpus.size(), 3u);
  EXPECT_NE(vcpus[1].thread_id, vcpus[2].thread_id);
  EXPECT_EQ(vcpus[2].index, 2u);
  EXPECT_THAT(names_of_sections(*rig), ElementsAre("timer/0", "cpu_common/0", "cpu/0", "cpu_common/1",
                                                   "cpu/1", "cpu_common/2", "cpu/2", "port92/0", "serial/0"));
}

TEST_P(OnAccelerator, MemoryThatIsNotRamReadsAsOnes) {
  // mov ax,0xb000; mov ds,ax; mov byte [0],0x55; mov al,[0]; mov dx,0x3f8; out dx,al; in al,0x60; out dx,al;
  // hlt
  MachineRig rig(GetParam(), sector({0xb8, 0x00, 0xb0, 0x8e, 0xd8, 0xc6, 0x06, 0x00, 0x00, 0x55, 0xa0,
                                     0x00, 0x00, 0xba, 0xf8, 0x03, 0xee, 0xe4, 0x60, 0xee, 0xf4}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_bytes(2 - rig.serial().size());
  EXPECT_EQ(rig.serial(), "\xff\xff");
}

TEST_P(OnAccelerator, ThePortAt92AsksForAReset) {
  // in al,0x92; or al,1; out 0x92,al; jmp $
  MachineRig rig(GetParam(), sector({0xe4, 0x92, 0x0c, 0x01, 0xe6, 0x92, 0xeb, 0xfe}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_events("RESET", 1);
  ASSERT_TRUE(rig->monitor_stop());
}

// ---- moves

class Move : public ::testing::TestWithParam<std::pair<std::string, std::string>> {
 protected:
  void SetUp() override {
    for (const auto& accelerator : {GetParam().first, GetParam().second})
      if (const auto reason = skip_reason(accelerator); !reason.empty()) NOT_TESTED_HERE() << reason;
  }
};

INSTANTIATE_TEST_SUITE_P(Accelerators, Move,
                         ::testing::Values(std::pair("kvm", "kvm"), std::pair("kvm", "tcg"),
                                           std::pair("tcg", "kvm"), std::pair("tcg", "tcg")),
                         [](const auto& test) { return test.param.first + "_to_" + test.param.second; });

TEST_P(Move, TheWitnessGoesOnAndMissesNothing) {
  const auto image = witness_sector({.fill_pages = 256, .hot_pages = 64, .words = 4});
  MachineRig source(GetParam().first, image);
  MachineRig target(GetParam().second, image, [](MachineConfig& config) { config.incoming = true; });
  ASSERT_TRUE(source && target);
  EXPECT_EQ(target->run_state(), RunState::inmigrate);
  ASSERT_TRUE(source->monitor_cont());
  ASSERT_TRUE(source.wait_until_ready());
  ASSERT_TRUE(source->set_run_state(RunState::finish_migrate));
  const auto at_stop = witness_records(*source);
  move_guest(*source, *target);
  ASSERT_TRUE(target->set_run_state(RunState::running));
  const auto goes_on = [&] { return witness_records(*target).pass > at_stop.pass + 20; };
  EXPECT_TRUE(target.wait_until(goes_on));
  EXPECT_EQ(witness_records(*target).errors, at_stop.errors);
  EXPECT_GE(witness_records(*target).last_tsc, at_stop.last_tsc) << "the guest's time never goes back";
  EXPECT_EQ(witness_records(*source).iterations, at_stop.iterations) << "the source stands still";
}

TEST_P(Move, ThereAndBackManyTimes) {
  const auto image = witness_sector({.fill_pages = 64, .hot_pages = 64, .words = 512});
  MachineRig source(GetParam().first, image);
  ASSERT_TRUE(source);
  ASSERT_TRUE(source->monitor_cont());
  ASSERT_TRUE(source.wait_until_ready());
  ASSERT_TRUE(source->monitor_stop());
  const auto errors = witness_records(*source).errors;
  auto current =
      std::make_unique<MachineRig>(GetParam().first, image, [](MachineConfig& c) { c.incoming = true; });
  move_guest(*source, **current);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE((*current)->set_run_state(RunState::running));
    const auto pass = witness_records(**current).pass;
    ASSERT_TRUE(current->wait_until([&] { return witness_records(**current).pass > pass; }));
    ASSERT_TRUE((*current)->set_run_state(RunState::finish_migrate));
    ASSERT_EQ(witness_records(**current).errors, errors);
    const auto& accelerator = i % 2 == 0 ? GetParam().second : GetParam().first;
    auto next = std::make_unique<MachineRig>(accelerator, image, [](MachineConfig& c) { c.incoming = true; });
    ASSERT_TRUE(*next);
    move_guest(**current, **next);
    current = std::move(next);
  }
}

// ---- KVM alone

class OnKvm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = skip_reason("kvm"); !reason.empty()) NOT_TESTED_HERE() << reason;
  }
};

TEST_F(OnKvm, ATripleFaultAsksForAReset) {
  MachineRig rig("kvm", faulting_sector());
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_events("RESET", 1);
  EXPECT_EQ(rig->run_state(), RunState::running);
  ASSERT_TRUE(rig->monitor_reset());
  rig.wait_for_events("RESET", 2);
}

TEST_F(OnKvm, ARingThatIsTooSmallIsMadeLarger) {
  MachineRig rig("kvm", witness_sector({}), [](MachineConfig& config) {
    config.accelerators = {{.name = "kvm", .dirty_ring_size = 4096}};
  });
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig.wait_until_ready());
  EXPECT_THAT(rig->dirty_tracker().name(), HasSubstr("ring"));
  ASSERT_TRUE(rig->dirty_tracker().start(rig->ram_blocks()));
  std::vector<DirtyBitmap> bitmaps(1, DirtyBitmap(rig->ram_blocks()[0].pages()));
  const auto pass = witness_records(*rig).pass;
  ASSERT_TRUE(rig.wait_until([&] { return witness_records(*rig).pass > pass + 2; }));
  ASSERT_TRUE(rig->monitor_stop());
  ASSERT_TRUE(rig->dirty_tracker().collect(bitmaps));
  EXPECT_TRUE(bitmaps[0].test(0x1000000 / page_size));
  rig->dirty_tracker().stop();
}

TEST_F(OnKvm, UsesKvmByDefault) {
  MachineRig rig("", hello_sector(), [](MachineConfig& config) { config.accelerators.clear(); });
  ASSERT_TRUE(rig);
  EXPECT_EQ(rig->accelerator(), "kvm");
}

TEST_F(OnKvm, CodeOutsideOfRamEndsInAnInternalError) {
  // jmp 0xa000:0
  MachineRig rig("kvm", sector({0xea, 0x00, 0x00, 0x00, 0xa0}));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  rig.wait_for_events("ERROR", 1);
  EXPECT_EQ(rig->run_state(), RunState::internal_error);
  EXPECT_THAT(rig.events(), ElementsAre("RESUME", "STOP", StartsWith("ERROR: KVM: vCPU 0")));
  const auto continued = rig->monitor_cont();
  ASSERT_FALSE(continued);
  EXPECT_EQ(continued.error().what(), "Resetting the Virtual Machine is required");
  ASSERT_TRUE(rig->monitor_reset());
  EXPECT_EQ(rig->run_state(), RunState::prelaunch);
  EXPECT_TRUE(rig->monitor_cont());
}

// ---- no accelerator needed

TEST(QtestMachine, KeepsAndMovesTheStateOfItsProcessor) {
  MachineRig source("qtest", hello_sector());
  MachineRig target("qtest", hello_sector(), [](MachineConfig& config) { config.incoming = true; });
  ASSERT_TRUE(source && target);
  EXPECT_EQ(source->accelerator(), "qtest");
  ASSERT_TRUE(source->monitor_cont());
  ASSERT_TRUE(source->monitor_stop());
  EXPECT_EQ(source.serial(), "");
  source->write_port(0x3f8, 1, 'q');
  EXPECT_EQ(source.serial(), "q");
  EXPECT_EQ(source->read_port(0x3fd, 1), 0x60u);
  move_guest(*source, *target);
  std::byte code[2];
  target->read_memory(0x7c00, code);
  EXPECT_EQ(code[0], std::byte{0xba});
}

TEST(QtestMachine, MonitorRules) {
  MachineRig rig("qtest", hello_sector());
  ASSERT_TRUE(rig);
  EXPECT_TRUE(rig->monitor_stop());
  EXPECT_EQ(rig->run_state(), RunState::prelaunch) << "stop changes nothing that does not run";
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig->set_run_state(RunState::finish_migrate));
  EXPECT_TRUE(rig->monitor_stop());
  EXPECT_EQ(rig->run_state(), RunState::finish_migrate);
  const auto continued = rig->monitor_cont();
  ASSERT_FALSE(continued);
  EXPECT_EQ(continued.error().what(), "Migration is not finalized yet");
  ASSERT_TRUE(rig->set_run_state(RunState::postmigrate));
  EXPECT_TRUE(rig->monitor_stop());
  EXPECT_EQ(rig->run_state(), RunState::postmigrate);
  EXPECT_FALSE(rig->set_run_state(RunState::inmigrate));
  ASSERT_TRUE(rig->monitor_cont());
  EXPECT_EQ(rig->run_state(), RunState::running);
  ASSERT_TRUE(rig->set_run_state(RunState::shutdown));
  EXPECT_EQ(rig->monitor_cont().error().what(), "Resetting the Virtual Machine is required");
  EXPECT_THAT(rig.events(), ElementsAre("RESUME", "STOP", "RESUME", "STOP"));
}

TEST(QtestMachine, AWaitingMachineRemembersWhetherToStart) {
  MachineRig rig("qtest", {}, [](MachineConfig& config) { config.incoming = true; });
  ASSERT_TRUE(rig) << "the disk of a machine that waits is not looked at";
  EXPECT_TRUE(rig->autostart());
  EXPECT_TRUE(rig->monitor_stop());
  EXPECT_FALSE(rig->autostart());
  EXPECT_TRUE(rig->monitor_cont());
  EXPECT_TRUE(rig->autostart());
  EXPECT_EQ(rig->run_state(), RunState::inmigrate);
  EXPECT_FALSE(rig->monitor_reset());
  EXPECT_THAT(rig.events(), IsEmpty());

  MachineRig held("qtest", {}, [](MachineConfig& config) { config.incoming = config.start_stopped = true; });
  EXPECT_FALSE(held->autostart());
}

TEST(NoneMachine, IsRamAndAClock) {
  MachineRig rig("qtest", {}, [](MachineConfig& config) {
    config.kind = MachineKind::none;
    config.machine_name = "none";
  });
  ASSERT_TRUE(rig);
  EXPECT_THAT(names_of_sections(*rig), ElementsAre("timer/0"));
  EXPECT_THAT(rig->vcpus(), IsEmpty());
  ASSERT_EQ(rig->ram_blocks().size(), 1u);
  EXPECT_EQ(rig->ram_blocks()[0].name, "ram");
  std::byte in_the_hole[] = {std::byte{0x5a}};
  rig->write_memory(0xa0000, in_the_hole);
  in_the_hole[0] = std::byte{0};
  rig->read_memory(0xa0000, in_the_hole);
  EXPECT_EQ(in_the_hole[0], std::byte{0x5a}) << "this machine has no hole";
  ASSERT_TRUE(rig->monitor_cont());
  EXPECT_EQ(rig->run_state(), RunState::running);
}

TEST(NoneMachine, DoesWithoutRam) {
  MachineRig rig("qtest", {}, [](MachineConfig& config) {
    config.kind = MachineKind::none;
    config.memory.reset();
  });
  ASSERT_TRUE(rig);
  EXPECT_TRUE(rig->ram_blocks().empty());
}

TEST(PcMachine, RamIsNamedAfterItsBackend) {
  MachineRig plain("qtest", hello_sector());
  EXPECT_EQ(plain->ram_blocks()[0].name, "pc.ram");
  MachineRig named("qtest", hello_sector(), [](MachineConfig& config) { config.memory->id = "mem0"; });
  EXPECT_EQ(named->ram_blocks()[0].name, "mem0");
}

TEST(PcMachine, WithoutADiskTheProcessorWaits) {
  if (const auto reason = skip_reason("kvm"); !reason.empty()) NOT_TESTED_HERE() << reason;
  MachineRig rig("kvm", {}, [](MachineConfig& config) { config.first_disk.clear(); });
  ASSERT_TRUE(rig);
  ASSERT_TRUE(rig->monitor_cont());
  ASSERT_TRUE(rig->monitor_stop());
  EXPECT_THAT(rig.events(), ElementsAre("RESUME", "STOP"));
}

}  // namespace
}  // namespace godwit::vm

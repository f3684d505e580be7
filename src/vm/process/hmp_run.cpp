// What the guest and the process do: stop, cont, quit, reset, and the dirty rate.
#include "base/fail.h"
#include "vm/process/hmp.h"

namespace godwit::vm {

namespace {

using Mode = schema::DirtyRateMeasureMode;

Result<> calc_dirty_rate(HumanCall& call) {
  const auto seconds = static_cast<std::int64_t>(call.arguments.numbers[0]);
  if (seconds == 0) {
    call.print("Incorrect period length specified!\n");
    return {};
  }
  if (call.arguments.has('r') && call.arguments.has('b')) {
    call.print("Either dirty ring or dirty bitmap can be specified!\n");
    return {};
  }
  schema::CalcDirtyRateArguments wanted;
  wanted.calc_time = seconds;
  if (call.arguments.numbers.size() > 1)
    wanted.sample_pages = static_cast<std::int64_t>(call.arguments.numbers[1]);
  wanted.mode = call.arguments.has('r')   ? Mode::dirty_ring
                : call.arguments.has('b') ? Mode::dirty_bitmap
                                          : Mode::page_sampling;
  GODWIT_TRY(call.services.migration.measure_dirty_rate(wanted));
  call.print(
      "Starting dirty rate measurement with period {} seconds\n"
      "[Please use 'info dirty_rate' to check results]\n",
      seconds);
  return {};
}

constexpr HumanCommand group[] = {
    {"calc_dirty_rate", "-r -b l l?", "[-r] [-b] second [sample_pages_per_GB]",
     "start a round of guest dirty rate measurement (using -r to\n\t\t\t specify dirty ring as the method of "
     "calculation and\n\t\t\t -b to specify dirty bitmap as method of calculation)",
     calc_dirty_rate},
    {"cont|c", "", "", "resume emulation",
     [](HumanCall& call) { return call.services.machine.monitor_cont(); }},
    {"quit|q", "", "", "quit the emulator",
     [](HumanCall& call) -> Result<> {
       call.services.shut_down(schema::ShutdownCause::host_qmp_quit);
       return {};
     }},
    {"stop|s", "", "", "stop emulation",
     [](HumanCall& call) { return call.services.machine.monitor_stop(); }},
    {"system_powerdown", "", "", "send system power down event",
     [](HumanCall& call) -> Result<> {
       power_down(call.services);
       return {};
     }},
    {"system_reset", "", "", "reset the system", [](HumanCall& call) { return reset(call.services); }},
    {"system_wakeup", "", "", "wakeup guest from suspend",
     [](HumanCall& call) { return wake_up(call.services); }},
};

}  // namespace

std::span<const HumanCommand> human_run_commands() {
  return group;
}

}  // namespace godwit::vm

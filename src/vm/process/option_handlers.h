// What each option does to the draft. The table in option_table.cpp names them.
#pragma once

#include <string>

#include <godwit/result.h>

#include "vm/process/draft.h"

namespace godwit::vm::options {

// machine_options.cpp
Result<> accelerator(Draft& draft, const std::string& argument);
Result<> enable_kvm(Draft& draft, const std::string& argument);
Result<> machine(Draft& draft, const std::string& argument);
Result<> bios(Draft& draft, const std::string& argument);
Result<> cpu(Draft& draft, const std::string& argument);
Result<> smp(Draft& draft, const std::string& argument);
Result<> memory(Draft& draft, const std::string& argument);
Result<> memory_path(Draft& draft, const std::string& argument);
Result<> memory_prealloc(Draft& draft, const std::string& argument);
Result<> numa(Draft& draft, const std::string& argument);
Result<> uuid(Draft& draft, const std::string& argument);
Result<> overcommit(Draft& draft, const std::string& argument);

// object_options.cpp
Result<> object(Draft& draft, const std::string& argument);

// device_options.cpp
Result<> drive(Draft& draft, const std::string& argument);
Result<> hard_disk(Draft& draft, const std::string& argument);
Result<> device(Draft& draft, const std::string& argument);
Result<> chardev(Draft& draft, const std::string& argument);
Result<> serial(Draft& draft, const std::string& argument);
Result<> display(Draft& draft, const std::string& argument);
Result<> vga(Draft& draft, const std::string& argument);
Result<> nographic(Draft& draft, const std::string& argument);
Result<> audio(Draft& draft, const std::string& argument);
Result<> network(Draft& draft, const std::string& argument);

// process_options.cpp
Result<> name(Draft& draft, const std::string& argument);
Result<> mon(Draft& draft, const std::string& argument);
Result<> qmp(Draft& draft, const std::string& argument);
Result<> qmp_pretty(Draft& draft, const std::string& argument);
Result<> monitor(Draft& draft, const std::string& argument);
Result<> qtest(Draft& draft, const std::string& argument);
Result<> global(Draft& draft, const std::string& argument);
Result<> incoming(Draft& draft, const std::string& argument);
Result<> only_migratable(Draft& draft, const std::string& argument);
Result<> start_stopped(Draft& draft, const std::string& argument);
Result<> no_shutdown(Draft& draft, const std::string& argument);
Result<> no_reboot(Draft& draft, const std::string& argument);
Result<> no_defaults(Draft& draft, const std::string& argument);
Result<> message_format(Draft& draft, const std::string& argument);
Result<> sandbox(Draft& draft, const std::string& argument);
Result<> kernel(Draft& draft, const std::string& argument);
Result<> accepted(Draft& draft, const std::string& argument);  ///< without effect here
Result<> help(Draft& draft, const std::string& argument);
Result<> version(Draft& draft, const std::string& argument);

}  // namespace godwit::vm::options

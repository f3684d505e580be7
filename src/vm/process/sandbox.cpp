#include "vm/process/sandbox.h"

#include <cerrno>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <span>
#include <sys/prctl.h>

#include "base/fail.h"
#include "base/system.h"

namespace godwit::vm {
namespace {

/// What changes the machine or reaches into other processes; what made one of those of a process that was
/// taken over.
constexpr int kNeverNeeded[] = {
    // The kernel and the machine.
    SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
    SCMP_SYS(syslog), SCMP_SYS(quotactl), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
    SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(vhangup),
    // File systems and namespaces.
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(open_tree),
    SCMP_SYS(move_mount), SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(fanotify_init),
    // Other processes.
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
    // Large parts of the kernel that nothing here uses.
    SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(modify_ldt),
    SCMP_SYS(lookup_dcookie), SCMP_SYS(uselib), SCMP_SYS(ustat), SCMP_SYS(sysfs), SCMP_SYS(_sysctl),
    SCMP_SYS(nfsservctl), SCMP_SYS(personality),
    // Privileges.
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
    SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(setgroups), SCMP_SYS(capset)};

constexpr int kSpawn[] = {SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(execve), SCMP_SYS(execveat)};

constexpr int kResourceControl[] = {SCMP_SYS(setpriority),        SCMP_SYS(sched_setparam),
                                    SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setattr),
                                    SCMP_SYS(sched_setaffinity),  SCMP_SYS(ioprio_set)};

constexpr unsigned long kNamespaces[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                         CLONE_NEWPID, CLONE_NEWUSER,   CLONE_NEWNET};

class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_ALLOW), ::seccomp_release) {}

  /// A number that this kernel's library does not know is no reason not to confine the rest.
  void refuse(std::span<const int> calls) {
    for (const int call : calls) add(SCMP_ACT_ERRNO(EPERM), call);
  }
  void refuse_namespaces() {
    for (const unsigned long flag : kNamespaces)
      add(SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    // Its flags lie in memory, where a filter cannot look. Without it the C library takes clone().
    add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  }
  void refuse_processes() {
    refuse(kSpawn);
    add(SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  }
  Result<> load() {
    if (!context_ || failed_ != 0) return system_error("Cannot make a filter of system calls", -failed_);
    // It must also hold for what the libraries started before.
    ::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    if (const int error = ::seccomp_load(context_.get()); error < 0)
      return system_error("Cannot install the filter of system calls", -error);
    return {};
  }

 private:
  template <typename... Conditions>
  void add(std::uint32_t action, int call, Conditions... conditions) {
    if (!context_) return;
    const int error = ::seccomp_rule_add(context_.get(), action, call, sizeof...(conditions), conditions...);
    if (error < 0 && error != -EDOM && failed_ == 0) failed_ = error;
  }

  std::unique_ptr<void, decltype(&::seccomp_release)> context_;
  int failed_ = 0;  ///< a negative errno
};

}  // namespace

Result<> confine(const SandboxConfig& config) {
  if (!config.on) return {};
  Filter filter;
  filter.refuse(kNeverNeeded);
  filter.refuse_namespaces();
  if (!config.spawn) filter.refuse_processes();
  if (!config.resource_control) filter.refuse(kResourceControl);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return system_error("Cannot give up new privileges", errno);
  auto loaded = filter.load();
  if (!loaded) return fail(std::move(loaded).error().advise("-sandbox off runs without a filter"));
  return {};
}

}  // namespace godwit::vm

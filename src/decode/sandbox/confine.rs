//! What the system allows to the process that decodes.

use std::io;

use super::super::Limits;

/// The variable with the bytes of address space that a process may have which decodes: for tests, and for machines with
/// little memory.
pub const BYTES: &str = "IMGSEARCH_SANDBOX_BYTES";

/// Bytes of address space besides what images take: the program, its threads' stacks, and what the allocator keeps.
const BESIDES: u64 = 1 << 30;

/// Gives up what decoding does not need.
///
/// # Errors
///
/// If the system does not allow that, or the variable [`BYTES`] is no number.
pub fn confine(limits: &Limits) -> io::Result<()> {
    let bytes = match std::env::var(BYTES) {
        Ok(text) => text.parse().map_err(io::Error::other)?,
        Err(_) => limits
            .max_memory
            .saturating_mul(2)
            .saturating_add(limits.max_file_bytes)
            .saturating_add(BESIDES),
    };
    limit(bytes)?;
    refuse()
}

#[cfg(unix)]
fn limit(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at_most = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(Resource::As, at_most(bytes))?;
    // No dump of other people's pictures, and no file.
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    Ok(())
}

#[cfg(not(unix))]
fn limit(_: u64) -> io::Result<()> {
    Ok(())
}

/// Lets the kernel refuse every call but those that computing, memory, threads and the open pipes take.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn refuse() -> io::Result<()> {
    use std::collections::BTreeMap;

    use seccompiler::{
        BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads,
    };

    let calls = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_close,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_prctl,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_sigaltstack,
        // How a program aborts: it sends itself a signal.
        libc::SYS_tgkill,
        libc::SYS_write,
        libc::SYS_writev,
    ];
    let rules: BTreeMap<i64, Vec<_>> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    // Refused rather than ended: a library that asks in vain where it runs still decodes.
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, machine);
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)?;
    apply_filter_all_threads(&program).map_err(io::Error::other)
}

/// Other systems have other means, which are not used.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn refuse() -> io::Result<()> {
    Ok(())
}

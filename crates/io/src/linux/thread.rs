//! What a thread asks about itself.

use std::mem;
use std::time::Duration;

/// Processor time that the calling thread has used.
pub(crate) fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one `timespec` that lives on the stack. It cannot fail for the calling thread's own clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Keep the calling thread on the `index`-th processor that this process may use. Only where there are enough for the
/// control plane to have its own; elsewhere the scheduler knows better.
pub(crate) fn pin(index: usize) {
    const ENOUGH: usize = 4;
    // SAFETY: `cpu_set_t` is an array of integers, all zeros is the empty set, and its size is passed along.
    unsafe {
        let mut allowed: libc::cpu_set_t = mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) != 0 {
            return;
        }
        let set = &allowed;
        let processors: Vec<usize> = (0..libc::CPU_SETSIZE as usize)
            .filter(|n| libc::CPU_ISSET(*n, set))
            .collect();
        if processors.len() < ENOUGH {
            return;
        }
        let mut one: libc::cpu_set_t = mem::zeroed();
        // From the far end, because the first processors usually serve interrupts.
        libc::CPU_SET(
            processors[processors.len() - 1 - index % processors.len()],
            &mut one,
        );
        // Refused is as good as not asked: it only costs cache misses.
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one);
    }
}

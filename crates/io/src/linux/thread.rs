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

/// Processors from which on there are enough for the control plane to have its own; below, the scheduler knows better.
const ENOUGH: usize = 4;

/// The processor of the `index`-th worker, of those that this process may use. `None`: it is not pinned.
fn choose(processors: &[usize], index: usize) -> Option<usize> {
    let count = processors.len();
    // From the far end, because the first processors usually serve interrupts.
    (count >= ENOUGH).then(|| processors[count - 1 - index % count])
}

/// Keep the calling thread on the processor of the `index`-th worker.
pub(crate) fn pin(index: usize) {
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
        let Some(processor) = choose(&processors, index) else {
            return;
        };
        let mut one: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(processor, &mut one);
        // Refused is as good as not asked: it only costs cache misses.
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one);
    }
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn processors_by_table() {
        // (processors, worker, its processor)
        let rows: [(&[usize], usize, Option<usize>); 9] = [
            (&[], 0, None),
            (&[0], 0, None),
            (&[0, 1, 2], 0, None),
            (&[0, 1, 2, 3], 0, Some(3)),
            (&[0, 1, 2, 3], 2, Some(1)),
            (&[0, 1, 2, 3], 3, Some(0)),
            (&[0, 1, 2, 3], 4, Some(3)),
            (&[5, 8, 13], 1, None),
            (&[5, 8, 13, 21], 1, Some(13)),
        ];
        for (processors, worker, expected) in rows {
            assert_eq!(
                choose(processors, worker),
                expected,
                "{processors:?} {worker}"
            );
        }
    }
}

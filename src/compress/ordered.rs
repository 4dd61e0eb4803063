//! Work done by several threads and delivered in order.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::parallel;

/// One job's number and where its result is awaited.
type Order<T> = (u64, SyncSender<io::Result<T>>);

/// Does the jobs `0..jobs` in `workers` threads and hands each result to `deliver`, in the jobs'
/// order, in the calling thread.
///
/// `new_state` makes what a worker keeps from job to job. No more than `workers` + 1 results exist
/// at once. With one worker, or where the system has no thread to give, everything happens in the
/// calling thread.
///
/// # Errors
/// The first error of `work` or `deliver` in the jobs' order; the jobs already begun are finished,
/// and no thread is left.
pub(super) fn in_order<S, T: Send>(
    jobs: u64,
    workers: NonZeroUsize,
    new_state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, u64) -> io::Result<T> + Sync,
    mut deliver: impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let workers = workers
        .get()
        .min(usize::try_from(jobs).unwrap_or(usize::MAX));
    let alone = |deliver: &mut dyn FnMut(T) -> io::Result<()>| {
        let mut state = new_state();
        (0..jobs).try_for_each(|job| deliver(work(&mut state, job)?))
    };
    if workers <= 1 {
        return alone(&mut deliver);
    }
    let (orders, queue) = mpsc::channel::<Order<T>>();
    let queue = Mutex::new(queue);
    let worker = || {
        let mut state = new_state();
        while let Some((job, reply)) = next_order(&queue) {
            // Nobody waits for it any more when an earlier job has failed.
            let _ = reply.send(work(&mut state, job));
        }
    };
    thread::scope(|scope| {
        // Moved in, so that it is dropped, and the workers end, before the scope waits for them.
        let orders = orders;
        match parallel::start(scope, workers, worker) {
            0 => alone(&mut deliver),
            workers => deliver_in_order(jobs, workers + 1, &orders, &mut deliver),
        }
    })
}

fn next_order<T>(queue: &Mutex<Receiver<Order<T>>>) -> Option<Order<T>> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}

fn deliver_in_order<T>(
    jobs: u64,
    in_flight: usize,
    orders: &Sender<Order<T>>,
    deliver: &mut impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let gone = || io::Error::other("a compression thread ended early");
    let mut awaited = VecDeque::with_capacity(in_flight);
    let mut next = 0;
    loop {
        while next < jobs && awaited.len() < in_flight {
            let (reply, result) = mpsc::sync_channel(1);
            orders.send((next, reply)).map_err(|_| gone())?;
            awaited.push_back(result);
            next += 1;
        }
        let Some(oldest) = awaited.pop_front() else {
            return Ok(());
        };
        deliver(oldest.recv().map_err(|_| gone())??)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    fn workers(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn results_are_delivered_in_order_whatever_order_they_are_done_in() {
        for threads in [1, 2, 3, 8, 100] {
            for jobs in [0, 1, 2, 50] {
                let mut got = Vec::new();
                let late_first = |(): &mut (), job: u64| {
                    thread::sleep(Duration::from_micros(300 * (3 - job % 4)));
                    Ok(job)
                };
                in_order(
                    jobs,
                    workers(threads),
                    || (),
                    late_first,
                    |job| {
                        got.push(job);
                        Ok(())
                    },
                )
                .unwrap();
                assert_eq!(got, (0..jobs).collect::<Vec<_>>(), "{threads} threads");
            }
        }
    }

    #[test]
    fn the_first_error_ends_the_work_soon() {
        for threads in [1, 2, 5] {
            let begun = AtomicU64::new(0);
            let count = |(): &mut (), job: u64| {
                begun.fetch_add(1, Ordering::Relaxed);
                Ok(job)
            };
            let fail_at_3 = |job| match job {
                3 => Err(io::Error::other("full")),
                _ => Ok(()),
            };
            let error = in_order(u64::MAX, workers(threads), || (), count, fail_at_3).unwrap_err();
            assert_eq!(error.to_string(), "full");
            assert!(begun.into_inner() <= 4 + threads as u64 + 1);
        }
    }

    #[test]
    fn an_error_of_the_work_itself_comes_after_the_results_before_it() {
        let mut got = Vec::new();
        let fail_at_2 = |(): &mut (), job: u64| match job {
            2 => Err(io::Error::other("broken")),
            _ => Ok(job),
        };
        let error = in_order(
            9,
            workers(3),
            || (),
            fail_at_2,
            |job| {
                got.push(job);
                Ok(())
            },
        )
        .unwrap_err();
        assert_eq!((error.to_string().as_str(), got), ("broken", vec![0, 1]));
    }
}

//! One thing: the same function over many inputs, on several threads, results in order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread::{Builder, Scope};

/// The most threads that are ever started for one thing: with more, waiting for each other and for
/// memory outweighs what they do.
const LIMIT: usize = 64;

/// Has up to `wanted` threads of `scope` do `work`, [`LIMIT`] at most, and gives how many there are:
/// fewer, or none, where the system gives no more.
pub(crate) fn start<'s>(
    scope: &'s Scope<'s, '_>,
    wanted: usize,
    work: impl Fn() + Copy + Send + 's,
) -> usize {
    let start = |_: &usize| Builder::new().spawn_scoped(scope, work).is_ok();
    (0..wanted.min(LIMIT)).take_while(start).count()
}

/// Applies `work` to every input on at most `threads` threads, or the fewer that the system gives,
/// and returns the results in the inputs' order. With one thread, or one input, the caller's thread
/// does it all.
pub fn map<I: Send, O: Send>(
    inputs: Vec<I>,
    threads: NonZeroUsize,
    work: impl Fn(I) -> O + Sync,
) -> Vec<O> {
    let helpers = threads.get().min(inputs.len()).saturating_sub(1);
    if helpers == 0 {
        return inputs.into_iter().map(work).collect();
    }
    let queue = Mutex::new(inputs.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let serve = || {
        let mut mine = Vec::new();
        while let Some((index, input)) = next(&queue) {
            mine.push((index, work(input)));
        }
        lock(&done).extend(mine);
    };
    std::thread::scope(|scope| {
        start(scope, helpers, serve);
        serve();
    });
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, output)| output).collect()
}

/// Applies `work` to every input on at most `threads` threads, as [`map`] does, and hands each result to
/// `deliver` as soon as it and all before it are there: in the inputs' order, one at a time, on any of
/// the threads. Where `deliver` says no, nothing more is begun or handed on.
pub fn each<I: Copy + Send, O: Send>(
    inputs: Vec<I>,
    threads: NonZeroUsize,
    work: impl Fn(I) -> O + Sync,
    deliver: impl FnMut(I, O) -> bool + Send,
) {
    let helpers = threads.get().min(inputs.len()).saturating_sub(1);
    let queue = Mutex::new(inputs.into_iter().enumerate());
    let order = Mutex::new(Order {
        deliver,
        goes_on: true,
        next: 0,
        waiting: BTreeMap::new(),
    });
    let serve = || {
        loop {
            let goes_on = lock(&order).goes_on;
            let Some((index, input)) = next(&queue).filter(|_| goes_on) else {
                break;
            };
            let output = work(input);
            lock(&order).take(index, (input, output));
        }
    };
    std::thread::scope(|scope| {
        start(scope, helpers, serve);
        serve();
    });
}

/// Results on their way to whoever wants them in order.
struct Order<T, F> {
    deliver: F,
    goes_on: bool,
    /// The index of the one that is to be handed on next.
    next: usize,
    waiting: BTreeMap<usize, T>,
}

impl<I, O, F: FnMut(I, O) -> bool> Order<(I, O), F> {
    fn take(&mut self, index: usize, done: (I, O)) {
        self.waiting.insert(index, done);
        while self.goes_on
            && let Some((input, output)) = self.waiting.remove(&self.next)
        {
            self.goes_on = (self.deliver)(input, output);
            self.next += 1;
        }
    }
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    lock(queue).next()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_inputs_at_any_number_of_threads() {
        for threads in [1, 2, 7, 100] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let squares = map((0..50u64).collect(), threads, |n| n * n);
            assert_eq!(squares, (0..50).map(|n| n * n).collect::<Vec<u64>>());
            assert_eq!(map(Vec::<u8>::new(), threads, |n| n), Vec::<u8>::new());
        }
    }

    #[test]
    fn a_result_is_handed_on_while_those_behind_it_are_still_worked_on() {
        for threads in [1, 2, 7] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let first_is_out = (Mutex::new(false), Condvar::new());
            let work = |n: u64| {
                // The last waits for the first: were all handed on together, that would not end.
                let (is_out, told) = &first_is_out;
                let mut is_out = lock(is_out);
                while n == 9 && !*is_out {
                    is_out = told.wait(is_out).unwrap();
                }
                n * n
            };
            let mut out = Vec::new();
            each((0..10).collect(), threads, work, |input, output| {
                *lock(&first_is_out.0) = true;
                first_is_out.1.notify_all();
                out.push((input, output));
                input < 9
            });
            assert_eq!(out, (0..10).map(|n| (n, n * n)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_is_handed_on_once_it_is_not_wanted() {
        for threads in [1, 2, 7] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let mut out = Vec::new();
            each(
                (0..100).collect(),
                threads,
                |n| n,
                |input: u64, _| {
                    out.push(input);
                    input < 3
                },
            );
            assert_eq!(out, [0, 1, 2, 3]);
        }
    }
}

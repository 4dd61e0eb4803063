//! One thing: the same function over many inputs, on several threads, results in order.

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
}

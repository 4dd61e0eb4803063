//! One thing: the same function over many inputs, on several threads, results in order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::mpsc::{TrySendError, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{Builder, Scope};

/// The most threads that are ever started for one thing: with more, waiting for each other and for
/// memory outweighs what they do.
const LIMIT: usize = 64;
/// The most results that wait for one before them: what goes on meanwhile must not fill the memory.
const WAITING: usize = 64;

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
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, output)| output).collect()
}

/// Applies `work` to every input on at most `threads` threads, as [`map`] does, and hands each result to
/// `deliver` as soon as it and all before it are there: in the inputs' order, one at a time, on any of
/// the threads. Where `deliver` says no, nothing more is begun or handed on. While [`WAITING`] results wait for one
/// before them, nothing is begun either.
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
    let moved = Condvar::new();
    let serve = || {
        while has_room(&order, &moved)
            && let Some((index, input)) = next(&queue)
        {
            let output = work(input);
            lock(&order).take(index, (input, output));
            moved.notify_all();
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

/// Waits until few results wait, and tells whether more are wanted. Of those that wait none is the next: a thread
/// is at that, and ends the waiting.
fn has_room<T, F>(order: &Mutex<Order<T, F>>, moved: &Condvar) -> bool {
    let is_full = |order: &mut Order<T, F>| order.goes_on && order.waiting.len() >= WAITING;
    let order = moved.wait_while(lock(order), is_full);
    order.unwrap_or_else(PoisonError::into_inner).goes_on
}

/// Has `body` hand inputs on as it comes by them, and applies `work` to each: on other threads, `threads` less
/// one at most, or where these are busy, or there are none, on the caller's.
pub fn feed<I: Send, T>(
    threads: NonZeroUsize,
    work: impl Fn(I) + Sync,
    body: impl FnOnce(&mut dyn FnMut(I)) -> T,
) -> T {
    let (send, receive) = sync_channel(1);
    let receive = Mutex::new(receive);
    let next = || lock(&receive).recv().ok();
    let serve = || {
        while let Some(input) = next() {
            work(input);
        }
    };
    std::thread::scope(|scope| {
        let helpers = start(scope, threads.get() - 1, serve);
        let made = body(&mut |input| match (helpers, send.try_send(input)) {
            (1.., Ok(())) => {}
            (_, Ok(())) => next().into_iter().for_each(&work),
            (_, Err(TrySendError::Full(input) | TrySendError::Disconnected(input))) => work(input),
        });
        // Those that serve go on until nothing can come any more.
        drop(send);
        made
    })
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    lock(queue).next()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

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
    #[test]
    fn few_results_wait_for_one_before_them() {
        let begun = AtomicUsize::new(0);
        let work = |n: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            while n == 0 && begun.load(Ordering::SeqCst) <= WAITING {
                std::thread::yield_now();
            }
            if n == 0 {
                // Time enough for the other thread to begin all of them, if it did.
                std::thread::sleep(Duration::from_millis(50));
            }
            begun.load(Ordering::SeqCst)
        };
        let mut out = Vec::new();
        let two = NonZeroUsize::new(2).unwrap();
        each((0..1000).collect(), two, work, |_, begun| {
            out.push(begun);
            true
        });
        assert_eq!((out.len(), out[0]), (1000, WAITING + 1));
    }
}

//! Several calls at the same time.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// What all of these come to, in their order. They run side by side, within the task of the caller; the caller bounds how many there are.
pub async fn side_by_side<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    enum Slot<F: Future> {
        Running(Pin<Box<F>>),
        Done(F::Output),
    }
    let mut slots: Vec<Slot<F>> = all
        .into_iter()
        .map(|one| Slot::Running(Box::pin(one)))
        .collect();
    std::future::poll_fn(|cx| {
        let mut all_done = true;
        for slot in &mut slots {
            if let Slot::Running(running) = slot {
                match running.as_mut().poll(cx) {
                    Poll::Ready(value) => *slot = Slot::Done(value),
                    Poll::Pending => all_done = false,
                }
            }
        }
        match all_done {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    let done = slots.into_iter().filter_map(|slot| match slot {
        Slot::Done(value) => Some(value),
        Slot::Running(_) => None,
    });
    done.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_run_at_the_same_time_and_keep_their_order() {
        let begun = tokio::time::Instant::now();
        let slow = |seconds: u64| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        assert_eq!(side_by_side([3, 1, 2].map(slow)).await, [3, 1, 2]);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        let none: [std::future::Ready<()>; 0] = [];
        assert_eq!(side_by_side(none).await, []);
    }
}

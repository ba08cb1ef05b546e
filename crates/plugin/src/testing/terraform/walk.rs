//! The walk over a graph, in any order that it allows.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::boxed::Boxed;

/// How many resources Terraform works on at once.
const AT_ONCE: usize = 10;

/// The nodes of a walk, and those for which each waits.
pub(super) type Nodes<N> = BTreeMap<N, BTreeSet<N>>;

/// Visits each node after those that it waits for, at most ten at once. Leaves out the nodes that wait for one that failed.
pub(super) async fn walk<'a, N: Ord + Clone>(
    mut waiting: Nodes<N>,
    stop: &CancellationToken,
    visit: impl Fn(N) -> Boxed<'a, bool>,
) {
    let names: BTreeSet<N> = waiting.keys().cloned().collect();
    for needs in waiting.values_mut() {
        needs.retain(|need| names.contains(need));
    }
    let (mut done, mut failed) = (BTreeSet::<N>::new(), BTreeSet::<N>::new());
    let mut running: Vec<(N, Boxed<'a, bool>)> = Vec::new();
    loop {
        let lost: Vec<N> = waiting
            .iter()
            .filter(|(_, needs)| !needs.is_disjoint(&failed))
            .map(|(name, _)| name.clone())
            .collect();
        if stop.is_cancelled() {
            waiting.clear();
        }
        for name in &lost {
            waiting.remove(name);
            failed.insert(name.clone());
        }
        if !lost.is_empty() {
            continue;
        }
        let mut ready: Vec<N> = waiting
            .iter()
            .filter(|(_, needs)| needs.is_subset(&done))
            .map(|(name, _)| name.clone())
            .collect();
        fastrand::shuffle(&mut ready);
        for name in ready
            .into_iter()
            .take(AT_ONCE.saturating_sub(running.len()))
        {
            waiting.remove(&name);
            running.push((name.clone(), visit(name)));
        }
        if running.is_empty() {
            return;
        }
        let (at, is_done) = std::future::poll_fn(|cx| {
            for (at, (_, work)) in running.iter_mut().enumerate() {
                if let Poll::Ready(is_done) = Pin::new(work).poll(cx) {
                    return Poll::Ready((at, is_done));
                }
            }
            Poll::Pending
        })
        .await;
        let (name, _) = running.swap_remove(at);
        match is_done {
            true => done.insert(name),
            false => failed.insert(name),
        };
    }
}

/// Waits a random moment, so that resources begin in no particular order.
pub(super) async fn somewhen() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..3_000))).await;
}

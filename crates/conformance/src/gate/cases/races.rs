//! Many tasks at once: one of them is told to go, and what all of them were told fits into one order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;

use tracekeep_core::id::Key;
use tracekeep_store::gate::{IdempotencyResult, IdempotencyStore, Token};

use crate::gate::context::{Gate, LEASE_MS, json, key, request, terms};
use crate::gate::linear::{self, Call};
use crate::gate::model::{Asked, Said};

cases!("races":
    of_64_tasks_that_ask_for_one_key_one_is_new,
    of_64_tasks_that_take_a_lease_that_is_over_one_is_new,
    of_16_tasks_with_two_requests_one_is_new_and_the_others_fit,
    what_tasks_were_told_fits_into_one_order,
);

/// Runs `work` in so many threads, all of which begin at once.
fn all<T: Send>(tasks: u32, work: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(tasks as usize);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..tasks)
            .map(|task| {
                let (work, start) = (&work, &start);
                scope.spawn(move || {
                    start.wait();
                    work(task)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a task ends well")).collect()
    })
}

fn race(cx: &Gate, rounds: u32, prepare: impl Fn(&str)) {
    let (store, news, wrong) = (cx.store(), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    for round in 0..rounds {
        prepare(&format!("k{round}"));
    }
    // Nobody panics between rounds: the others would wait for ever.
    let each_round = Barrier::new(64);
    all(64, |_| {
        for round in 0..rounds {
            let (store, news, wrong) = (Arc::clone(&store), &news, &wrong);
            each_round.wait();
            cx.harness.wait(Box::pin(async move {
                let answer = store.check(&key(&format!("k{round}")), &request("a"), &terms()).await;
                match answer.map(|answer| (answer.result, answer.token)) {
                    Ok((IdempotencyResult::New, Some(token))) => {
                        news.lock().unwrap_or_else(PoisonError::into_inner).push((round, token));
                    }
                    Ok((IdempotencyResult::InProgress, None)) => {}
                    other => wrong.lock().unwrap_or_else(PoisonError::into_inner).push((round, other)),
                }
            }));
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "neither new nor in progress: {:?}", wrong.first());
    let mut news = news.into_inner().unwrap_or_else(PoisonError::into_inner);
    news.sort_by_key(|(round, _)| *round);
    let rounds_won: Vec<_> = news.iter().map(|(round, _)| *round).collect();
    assert_eq!(rounds_won, (0..rounds).collect::<Vec<_>>(), "exactly one is new in each round");
    for (round, token) in news.iter().step_by(97) {
        cx.complete(&format!("k{round}"), token, "1").expect("whoever was new holds the lease");
    }
}

fn of_64_tasks_that_ask_for_one_key_one_is_new(cx: &mut Gate) {
    race(cx, cx.harness.rounds(), |_| {});
}

fn of_64_tasks_that_take_a_lease_that_is_over_one_is_new(cx: &mut Gate) {
    let rounds = cx.harness.rounds().div_ceil(20);
    for round in 0..rounds {
        cx.claim(&format!("k{round}"), "a");
    }
    cx.advance_s(LEASE_MS / 1_000 + 1);
    race(cx, rounds, |_| {});
}

fn of_16_tasks_with_two_requests_one_is_new_and_the_others_fit(cx: &mut Gate) {
    for round in 0..50 {
        let (store, name) = (cx.store(), key(&format!("k{round}")));
        let answers = all(16, |task| {
            let sent = if task % 2 == 0 { "a" } else { "b" };
            let answer = Mutex::new(None);
            cx.harness.wait(Box::pin(async {
                let got = store.check(&name, &request(sent), &terms()).await.expect("an answer");
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(got);
            }));
            (sent, answer.into_inner().unwrap_or_else(PoisonError::into_inner).expect("an answer"))
        });
        let winners: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_new()).collect();
        assert_eq!(winners.len(), 1);
        let (won, _) = winners[0];
        for (sent, answer) in &answers {
            assert_eq!(answer.stored_hash, request(won));
            assert_eq!(answer.is_conflict(), sent != won);
        }
    }
}

/// Each of five tasks does what comes next to it: asks, ends what it holds in one of three ways, renews, deletes.
async fn wander(store: &dyn IdempotencyStore, name: &Key, task: u32, clock: &AtomicU64) -> Vec<Call> {
    let (mut calls, mut held) = (Vec::new(), None::<Token>);
    for step in 0..4u32 {
        let begin = clock.fetch_add(1, Ordering::SeqCst);
        let asked = match (held, (task + step) % 5) {
            (Some(token), 0) => Asked::Complete { token, response: "1" },
            (Some(token), 1) => Asked::Renew { token },
            (Some(token), other) => Asked::Fail { token, retryable: other % 2 == 0 },
            (None, 4) if task == 3 => Asked::Delete,
            (None, other) => Asked::Check { request: if other == 3 { "b" } else { "a" } },
        };
        let said = match asked {
            Asked::Check { request: sent } => Said::checked(store.check(name, &request(sent), &terms()).await),
            Asked::Complete { token, response } => {
                Said::marked(store.mark_completed(name, &token, &json(response)).await)
            }
            Asked::Fail { token, retryable } => Said::marked(store.mark_failed(name, &token, "no", retryable).await),
            Asked::Renew { token } => Said::renewed(store.renew(name, &token).await),
            Asked::Delete => Said::deleted(store.delete(name).await),
        };
        held = match (&asked, &said) {
            (_, Said::New { token, .. }) => Some(*token),
            (Asked::Renew { .. }, Said::Ok) => held,
            (Asked::Check { .. }, _) => held,
            _ => None,
        };
        calls.push(Call { begin, end: Some(clock.fetch_add(1, Ordering::SeqCst)), asked, said: Some(said) });
    }
    calls
}

fn what_tasks_were_told_fits_into_one_order(cx: &mut Gate) {
    let rounds = cx.harness.rounds().div_ceil(10);
    for round in 0..rounds {
        let (store, name, clock) = (cx.store(), key(&format!("k{round}")), AtomicU64::new(0));
        let history = Mutex::new(Vec::new());
        all(5, |task| {
            cx.harness.wait(Box::pin(async {
                let calls = wander(&*store, &name, task, &clock).await;
                history.lock().unwrap_or_else(PoisonError::into_inner).extend(calls);
            }));
        });
        let history = history.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert!(linear::fits(&history), "no order explains what was told: {history:#?}");
    }
}

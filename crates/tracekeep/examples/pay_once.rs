//! A payment tool of an agent that is retried: `cargo run -p tracekeep --example pay_once -- runs.db`.
//!
//! The framework calls the tool again after a timeout; the card is charged once, and the second call gets the first one's
//! answer. Run it twice: the second run charges nobody.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use tracekeep::{Effect, IdempotencyGate, Json, Key, Once, Tracekeep};

/// The tool: charges a card, whoever calls it and however often.
fn pay(gate: &IdempotencyGate, order: u64, cents: u64) -> Result<Once, Box<dyn std::error::Error>> {
    let key: Key = format!("pay-{order}").parse()?;
    let request = Json::object([("order", Json::from(order)), ("cents", Json::from(cents))])?;
    Ok(gate.once_blocking(&key, &request, || {
        println!("the card is charged {cents} cents");
        Effect::done(Json::from(format!("receipt for order {order}")))
    })?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "runs.db".to_owned());
    let gate = Tracekeep::open(path)?.idempotency();
    for call in ["the agent", "its framework, after a timeout"] {
        let paid = pay(&gate, 7, 990)?;
        let word = if matches!(paid, Once::Done(_)) { "done" } else { "done before" };
        println!("{call}: {word}, {}", paid.answer().map_or("the answer is no longer kept", Json::as_str));
    }
    match pay(&gate, 7, 99_000) {
        Err(refused) => println!("another amount under the same key: {refused}"),
        Ok(_) => println!("never"),
    }
    Ok(())
}

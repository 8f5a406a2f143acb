//! A small agent, run once with its tools and then again from its record: `cargo run -p tracekeep --example replay`.
//!
//! The agent asks for flights, compares prices and books. Replayed, it makes the same decisions without a call to any
//! tool, but for the one that it is told to check.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use tracekeep::{
    CompareQuery, Effect, FinalStatus, Json, RecordStep, ReplayBehavior, Result, RunId, StartRun, Tracekeep,
};

/// How the agent gets things done: with its tools, or from the record of a run.
trait World {
    fn act(&mut self, index: u32, skill: &str, params: Json, replayed: ReplayBehavior) -> Result<Json>;
}

/// The agent. It knows nothing of where the answers come from.
fn agent(world: &mut impl World) -> Result<String> {
    let ask = Json::from("FRA-LIS");
    let flights = world.act(0, "search", ask, ReplayBehavior::Skip)?;
    let cheapest = world.act(1, "compare", flights, ReplayBehavior::Check)?;
    let booking = world.act(2, "book", cheapest, ReplayBehavior::Skip)?;
    Ok(format!("booked {booking}"))
}

/// What the tools answer. The bookings that were made are counted.
fn tool(skill: &str, params: &Json, bookings: &mut u32) -> Json {
    match skill {
        "search" => Json::array([Json::from("TP575 120"), Json::from("LH1166 180")]),
        "compare" => Json::from("TP575"),
        _ => {
            *bookings += 1;
            Json::from(format!("{} for seat 3A", params.as_str().trim_matches('"')))
        }
    }
}

/// Calls the tools, and records every step.
struct Live<'a> {
    tracekeep: &'a Tracekeep,
    run: RunId,
    bookings: &'a mut u32,
}

impl World for Live<'_> {
    fn act(&mut self, index: u32, skill: &str, params: Json, replayed: ReplayBehavior) -> Result<Json> {
        let output = tool(skill, &params, self.bookings);
        let mut step = RecordStep::new(self.run.clone(), index, skill, params);
        step.outcome_data = Some(output.clone());
        step.replay_behavior = replayed;
        self.tracekeep.runs().record_step(step)?;
        Ok(output)
    }
}

/// Answers from the record of one run, and records what it does as another.
struct Again<'a> {
    tracekeep: &'a Tracekeep,
    replay: tracekeep::Replay,
    run: RunId,
    bookings: &'a mut u32,
    story: &'a mut Vec<String>,
}

impl World for Again<'_> {
    fn act(&mut self, index: u32, skill: &str, params: Json, replayed: ReplayBehavior) -> Result<Json> {
        let again = self.replay.step(index, |_| Effect::Done(tool(skill, &params, self.bookings)))?;
        let but = if again.diverged { ", another output" } else { "" };
        self.story.push(format!("step {index} {skill}: {:?}{but}", again.how));
        let output = again.output.unwrap_or_else(Json::null);
        let mut step = RecordStep::new(self.run.clone(), index, skill, params);
        step.outcome_data = Some(output.clone());
        step.replay_behavior = replayed;
        self.tracekeep.runs().record_step(step)?;
        Ok(output)
    }
}

/// Runs the agent, then replays it; tells what happened.
pub(crate) fn story() -> Result<Vec<String>> {
    let (tracekeep, mut bookings, mut story) = (Tracekeep::open_in_memory(), 0, Vec::new());
    let first = tracekeep.runs().start_run(StartRun::default())?;
    let said = agent(&mut Live { tracekeep: &tracekeep, run: first.clone(), bookings: &mut bookings })?;
    tracekeep.runs().complete_run(&first, FinalStatus::Completed)?;
    story.push(format!("the agent {said}"));

    let second = tracekeep.runs().start_run(StartRun::default())?;
    let said = agent(&mut Again {
        tracekeep: &tracekeep,
        replay: tracekeep.replay(&first),
        run: second.clone(),
        bookings: &mut bookings,
        story: &mut story,
    })?;
    tracekeep.runs().complete_run(&second, FinalStatus::Completed)?;
    story.push(format!("replayed it {said}; bookings made: {bookings}"));

    let compared = tracekeep.runs().compare(&first, &second, &CompareQuery::default())?;
    story.push(format!("the two runs are {}", compared.verdict));
    Ok(story)
}

fn main() -> Result<()> {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

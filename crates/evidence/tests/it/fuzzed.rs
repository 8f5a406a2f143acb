//! A small dose of what `cargo xtask fuzz` does for hours: the same functions, over their seeds and mutations by chance.

use proptest::prelude::*;

#[path = "../../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own, too")]
mod targets;

#[test]
fn the_seeds_of_every_target_pass() {
    for (name, target) in targets::TARGETS {
        let seeds: Vec<_> = targets::seeds().into_iter().filter(|(of, _)| *of == name).collect();
        assert!(seeds.len() > 1, "{name}");
        seeds.iter().for_each(|(_, bytes)| target(bytes));
    }
}

/// What is done to a seed: bytes changed, a part dropped, a part of another put in.
fn mutated(bytes: &[u8], edits: &[(u16, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, kind, value) in edits {
        let place = usize::from(*at) % (bytes.len() + 1);
        match kind % 4 {
            0 if place < bytes.len() => bytes[place] = *value,
            1 => bytes.insert(place, *value),
            2 => drop(bytes.drain(place..(place + usize::from(*value)).min(bytes.len()))),
            _ => {
                let part = bytes[place..(place + usize::from(*value)).min(bytes.len())].to_vec();
                bytes.splice(place..place, part);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn mutations_by_chance_pass(
        seed in any::<prop::sample::Index>(),
        edits in prop::collection::vec(any::<(u16, u8, u8)>(), 1..6),
    ) {
        let seeds = targets::seeds();
        let (name, bytes) = &seeds[seed.index(seeds.len())];
        let (_, target) = targets::TARGETS.iter().find(|(of, _)| of == name).expect("a target of that name");
        target(&mutated(bytes, &edits));
    }
}

//! The values of a parameter that are watched, because they might be names.
//!
//! There are few places, and anybody can send as many texts as they like. So a place is not worth what its text was called, but
//! who called it: where all are taken, the actor who has most of them gives one up, each text being shared by those who
//! use it. Whoever wants to keep a name of others out of the list needs about as many actors as it has places.

use serde::{Deserialize, Serialize};

use crate::crowd::Holders;

/// Values that are watched per parameter.
pub(crate) const WATCHED_MAX: usize = 32;

/// A value of a parameter that comes often.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub key: u64,
    pub calls: u32,
    /// Bitmap of actors, as a node has it.
    pub actors: u64,
}

/// Watches one more text, of an actor. Where there is no room, the one goes whose actors hold most of it; of those that
/// of the fewest calls, then the oldest. That may be the new one.
pub(crate) fn watch_another(watched: &mut Vec<Watched>, key: u64, actor: u64) {
    if watched.len() >= WATCHED_MAX {
        let mut holders = Holders::default();
        watched.iter().for_each(|known| holders.add(known.actors));
        holders.add(actor);
        let worth = |known: &Watched| (std::cmp::Reverse(holders.least(known.actors)), known.calls);
        let least = watched.iter().enumerate().min_by_key(|(at, known)| (worth(known), *at));
        let Some((at, _)) = least.filter(|(_, known)| holders.least(known.actors) >= holders.least(actor)) else {
            return;
        };
        watched.remove(at);
    }
    watched.push(Watched { key, calls: 1, actors: actor });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(watched: &[Watched]) -> Vec<u64> {
        watched.iter().map(|watched| watched.key).collect()
    }

    #[test]
    fn who_holds_most_places_gives_one_up() {
        let mut watched = Vec::new();
        for key in 0..WATCHED_MAX as u64 {
            watch_another(&mut watched, key, 1);
        }
        watch_another(&mut watched, 100, 2);
        assert_eq!(keys(&watched), (1..WATCHED_MAX as u64).chain([100]).collect::<Vec<_>>());
        for key in 200..300 {
            watch_another(&mut watched, key, 1);
        }
        assert!(keys(&watched).contains(&100) && keys(&watched).contains(&299) && watched.len() == WATCHED_MAX);
    }

    #[test]
    fn of_the_same_actor_the_most_called_stays() {
        let mut watched = Vec::new();
        for key in 0..WATCHED_MAX as u64 {
            watch_another(&mut watched, key, 1);
        }
        watched[0].calls = 2;
        watch_another(&mut watched, 100, 1);
        assert!(keys(&watched).contains(&0) && !keys(&watched).contains(&1));
    }

    #[test]
    fn texts_that_many_share_are_held_by_none() {
        let mut watched = Vec::new();
        for key in 0..WATCHED_MAX as u64 {
            watch_another(&mut watched, key, 0xff);
        }
        // Eight hold four places each, so one of somebody else takes one of theirs, and a fifth of one of them has no room.
        watch_another(&mut watched, 100, 1 << 8);
        watch_another(&mut watched, 101, 1);
        assert_eq!(keys(&watched), (1..WATCHED_MAX as u64).chain([100]).collect::<Vec<_>>());
    }
}

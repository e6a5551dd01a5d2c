//! What count is normal for one of many peers: the Gamma-Poisson model, fitted by moments.
//!
//! A peer has a rate of its own, drawn from the peers' Gamma distribution; its count in an active minute scatters about
//! that rate more than a Poisson count would, by a burstiness φ: the variance is λ + φλ². From this follow
//!
//! * the **prior**: mean μ and variance σ² of the peers' rates by the analysis of variance for groups of unequal size
//!   (Searle, "Linear Models", 1971, chapter 10), and φ as the mean of what each peer shows, so that one peer with large
//!   and wild counts does not speak for all;
//! * the **posterior** of one peer by credibility (Bühlmann and Straub 1970): with n minutes of its own and
//!   k = (1/μ + φ) / (σ²/μ²), Z = n / (n + k), its mean is m = Z·own + (1 − Z)·μ and its variance V = (m + φm²) / (n + k).
//!   Without history that is μ and σ²; for φ = 0 it is the Gamma-Poisson posterior exactly. Noise is taken relative to a
//!   peer's own level: a few very busy peers must not make the history of a quiet one worthless;
//! * the **prediction** for its next count: a negative binomial with mean m and, by moments, the variance
//!   m + φ'(m² + V) + V, where φ' is its own burstiness as far as it is known. Little data means a large V and a wide tail.
//!
//! Moments, not likelihood: they are sums, so a peer can be added, replaced and taken away in constant time and memory.

use serde::{Deserialize, Serialize};

/// What is assumed of the spread of rates (σ²/μ²) and of φ where nothing is known.
const SPREAD_UNKNOWN: f64 = 1.0;
const BURSTINESS_UNKNOWN: f64 = 0.5;
/// Real traffic is never closer to its mean than this, however short the history in which it seemed so.
const SPREAD_RANGE: (f64, f64) = (0.25, 100.0);
const BURSTINESS_RANGE: (f64, f64) = (0.1, 10.0);
/// How many peers, and how many of their minutes, outweigh what the wider population says.
const WIDER_WEIGHT_PEERS: f64 = 2.0;
const WIDER_WEIGHT_MINUTES: f64 = 30.0;

/// The counts of one peer's active minutes, as sums.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// How many active minutes; the weight of what was remembered, once old ones fade.
    pub minutes: f32,
    /// The sum of their counts.
    pub calls: f32,
    /// The sum of the squares of their counts.
    pub squares: f32,
}

impl Moments {
    /// Takes a closed minute in. Once `minutes_max` is reached, each new minute lets the old ones fade a little, so that
    /// the sums speak of about that many recent minutes.
    pub fn add(&mut self, count: u32, minutes_max: f32) {
        if self.minutes + 1.0 > minutes_max {
            let kept = (minutes_max - 1.0) / self.minutes;
            self.minutes *= kept;
            self.calls *= kept;
            self.squares *= kept;
        }
        let count = count as f32;
        self.minutes += 1.0;
        self.calls += count;
        self.squares += count * count;
    }

    /// Keeps the level but no more than this weight of it: what was learned may not hold any more.
    pub fn forget_down_to(&mut self, minutes: f32) {
        if self.minutes > minutes {
            let kept = minutes / self.minutes;
            self.minutes = minutes;
            self.calls *= kept;
            self.squares *= kept;
        }
    }

    /// The mean count of an active minute; 0 without one.
    pub fn mean(&self) -> f64 {
        if self.minutes > 0.0 { f64::from(self.calls) / f64::from(self.minutes) } else { 0.0 }
    }

    /// φ as its own minutes show it, of three or more: how far their variance is beyond that of a Poisson count, relative
    /// to their mean. It may be negative by chance.
    fn burstiness(&self) -> Option<f64> {
        let (minutes, mean) = (f64::from(self.minutes), self.mean());
        if minutes < 3.0 || mean <= 0.0 {
            return None;
        }
        let variance = ((f64::from(self.squares) - minutes * mean * mean) / (minutes - 1.0)).max(0.0);
        // The mean of n minutes varies itself, so the square of it is too large by Var/n on average.
        let squared_rate = (mean * mean - variance / minutes).max(mean * mean / 2.0);
        Some(((variance - mean) / squared_rate).clamp(-BURSTINESS_RANGE.1, BURSTINESS_RANGE.1))
    }
}

/// The moments of all peers of a population, as sums that one peer's part can be taken out of again.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PeerSums {
    /// Peers with at least one active minute.
    pub peers: i32,
    /// Σ n: their active minutes.
    pub minutes: f64,
    calls: f64,
    squares: f64,
    /// Σ s²/n, with s the calls of a peer and n its minutes.
    calls_squared_per_minute: f64,
    minutes_squared: f64,
    /// Σ (n − 1)·φ and Σ (n − 1), with φ as each peer shows it.
    burstiness: f64,
    burstiness_weight: f64,
}

impl PeerSums {
    /// The difference that it makes when one peer's present moments take the place of its former ones; default moments
    /// stand for none. It is the same for every population that the peer belongs to.
    pub fn change(former: &Moments, present: &Moments) -> PeerChange {
        let mut change = PeerChange::default();
        change.apply(former, -1.0);
        change.apply(present, 1.0);
        change
    }

    /// Makes that difference.
    pub fn apply(&mut self, change: &PeerChange) {
        let sums = &change.0;
        self.peers += sums.peers;
        self.minutes += sums.minutes;
        self.calls += sums.calls;
        self.squares += sums.squares;
        self.calls_squared_per_minute += sums.calls_squared_per_minute;
        self.minutes_squared += sums.minutes_squared;
        self.burstiness += sums.burstiness;
        self.burstiness_weight += sums.burstiness_weight;
        if self.peers <= 0 {
            // Nobody is left: rounding errors go, too.
            *self = PeerSums::default();
        }
    }
}

/// See [`PeerSums::change`].
#[derive(Debug, Clone, Copy, Default)]
pub struct PeerChange(PeerSums);

impl PeerChange {
    fn apply(&mut self, peer: &Moments, sign: f64) {
        if peer.minutes <= 0.0 {
            return;
        }
        let sums = &mut self.0;
        let (minutes, calls) = (f64::from(peer.minutes), f64::from(peer.calls));
        sums.peers += if sign > 0.0 { 1 } else { -1 };
        sums.minutes += sign * minutes;
        sums.calls += sign * calls;
        sums.squares += sign * f64::from(peer.squares);
        sums.calls_squared_per_minute += sign * calls * calls / minutes;
        sums.minutes_squared += sign * minutes * minutes;
        if let Some(shown) = peer.burstiness() {
            sums.burstiness += sign * (minutes - 1.0) * shown;
            sums.burstiness_weight += sign * (minutes - 1.0);
        }
    }
}

/// What the peers of a population do, as the prior for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PeerPrior {
    /// μ: the mean count of an active minute.
    pub mean: f64,
    /// σ²/μ²: how much the peers' rates differ.
    pub spread: f64,
    /// φ: how much a peer's minutes scatter beyond Poisson.
    pub burstiness: f64,
    /// How many peers it comes from.
    pub peers: u32,
    /// From how many of their active minutes.
    pub minutes: f64,
}

impl Default for PeerPrior {
    fn default() -> Self {
        PeerPrior { mean: 1.0, spread: SPREAD_UNKNOWN, burstiness: BURSTINESS_UNKNOWN, peers: 0, minutes: 0.0 }
    }
}

/// What is expected of the next active minute: the mean and size of a negative binomial distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// Its mean.
    pub mean: f64,
    /// Its size: the smaller, the longer its tail.
    pub size: f64,
}

impl PeerPrior {
    /// Learns from the sums. Few peers lean on the wider population that they belong to, where there is one.
    pub fn learn(sums: &PeerSums, wider: Option<&PeerPrior>) -> Self {
        let unknown = PeerPrior::default();
        let base = wider.unwrap_or(&unknown);
        if sums.peers <= 0 || sums.minutes <= 0.0 {
            return PeerPrior { peers: 0, minutes: 0.0, ..*base };
        }
        let (peers, minutes) = (f64::from(sums.peers), sums.minutes);
        let own_mean = (sums.calls / minutes).max(f64::MIN_POSITIVE);
        let minutes_free = minutes - peers;
        let within = if minutes_free >= 1.0 {
            ((sums.squares - sums.calls_squared_per_minute) / minutes_free).max(0.0)
        } else {
            own_mean + base.burstiness * own_mean * own_mean
        };
        let leaning = |own: f64, own_weight: f64, wide: f64, wide_weight: f64| {
            (own * own_weight + wide * wide_weight) / (own_weight + wide_weight)
        };
        // Without a wider population there is nothing to lean a level on, only a spread and a burstiness.
        let mean = match wider {
            Some(wide) if wide.peers > 0 => leaning(own_mean, peers, wide.mean, WIDER_WEIGHT_PEERS),
            _ => own_mean,
        };
        let spread = match spread_of_rates(sums, within) {
            Some(own) => leaning(own, peers - 1.0, base.spread, WIDER_WEIGHT_PEERS),
            None => base.spread,
        };
        let weight = sums.burstiness_weight.max(0.0);
        let burstiness = (sums.burstiness + base.burstiness * WIDER_WEIGHT_MINUTES) / (weight + WIDER_WEIGHT_MINUTES);
        PeerPrior {
            mean,
            spread: spread.clamp(SPREAD_RANGE.0, SPREAD_RANGE.1),
            burstiness: burstiness.clamp(BURSTINESS_RANGE.0, BURSTINESS_RANGE.1),
            peers: sums.peers.unsigned_abs(),
            minutes,
        }
    }

    /// What is expected of a peer with this history; of a new one with default moments.
    pub fn expect(&self, own: &Moments) -> Expectation {
        let minutes = f64::from(own.minutes);
        let prior_minutes = (1.0 / self.mean + self.burstiness) / self.spread;
        let credibility = minutes / (minutes + prior_minutes);
        let mean = credibility * own.mean() + (1.0 - credibility) * self.mean;
        let uncertainty = (mean + self.burstiness * mean * mean) / (minutes + prior_minutes);
        let burstiness = self.burstiness_of(own);
        let beyond_poisson = burstiness * (mean * mean + uncertainty) + uncertainty;
        Expectation { mean, size: mean * mean / beyond_poisson }
    }

    /// A peer's own burstiness as far as its own minutes show it, the peers' for the rest.
    fn burstiness_of(&self, own: &Moments) -> f64 {
        let Some(shown) = own.burstiness() else { return self.burstiness };
        let minutes = f64::from(own.minutes);
        let blended = (minutes * shown + WIDER_WEIGHT_MINUTES * self.burstiness) / (minutes + WIDER_WEIGHT_MINUTES);
        blended.clamp(BURSTINESS_RANGE.0, BURSTINESS_RANGE.1)
    }
}

/// σ²/μ² of the peers' rates: the variance between groups less what the variance within explains of it.
fn spread_of_rates(sums: &PeerSums, within: f64) -> Option<f64> {
    if sums.peers < 2 {
        return None;
    }
    let groups_free = f64::from(sums.peers) - 1.0;
    let between = (sums.calls_squared_per_minute - sums.calls * sums.calls / sums.minutes) / groups_free;
    let minutes_per_group = (sums.minutes - sums.minutes_squared / sums.minutes) / groups_free;
    let mean = sums.calls / sums.minutes;
    (minutes_per_group > 0.0 && mean > 0.0).then(|| ((between - within) / minutes_per_group / (mean * mean)).max(0.0))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    /// A count of a Gamma-Poisson mixture by inversion of the negative binomial's distribution function.
    fn draw(random: &mut Pcg64, mean: f64, size: f64) -> u32 {
        let (success, target) = (mean / (mean + size), random.random::<f64>());
        let mut term = (size * (size / (mean + size)).ln()).exp();
        let (mut sum, mut count) = (term, 0u32);
        while sum < target && count < 1_000_000 {
            term *= (f64::from(count) + size) / (f64::from(count) + 1.0) * success;
            sum += term;
            count += 1;
        }
        count
    }

    fn sums_of(peers: &[Moments]) -> PeerSums {
        let mut sums = PeerSums::default();
        for peer in peers {
            sums.apply(&PeerSums::change(&Moments::default(), peer));
        }
        sums
    }

    #[test]
    fn the_parameters_of_a_known_population_are_found_again() {
        // Rates: 400 peers at 5, 10 and 15 in equal shares, so μ = 10 and σ²/μ² = 1/6; clamped to 0.25. Then 2 and 18.
        for (seed, rates, spread, burstiness) in
            [(1, [5.0, 10.0, 15.0], 0.25, 0.5), (2, [2.0, 10.0, 18.0], 0.427, 1.0), (3, [2.0, 10.0, 18.0], 0.427, 0.1)]
        {
            let mut random = Pcg64::seed_from_u64(seed);
            let peers: Vec<Moments> = (0..600)
                .map(|peer| {
                    let mut moments = Moments::default();
                    for _ in 0..10 + peer % 50 {
                        moments.add(draw(&mut random, rates[peer % 3], 1.0 / burstiness), 1440.0);
                    }
                    moments
                })
                .collect();
            let prior = PeerPrior::learn(&sums_of(&peers), None);
            assert!((prior.mean - 10.0).abs() < 0.6, "seed {seed}: {prior:?}");
            assert!((prior.spread - spread).abs() < 0.08, "seed {seed}: {prior:?}");
            assert!((prior.burstiness - burstiness).abs() < 0.12 * burstiness.max(0.5), "seed {seed}: {prior:?}");
        }
    }

    #[test]
    fn a_new_peer_is_expected_to_be_like_its_peers_and_an_old_one_like_itself() {
        let prior = PeerPrior { mean: 4.0, spread: 1.0, burstiness: 0.5, peers: 12, minutes: 400.0 };
        let mut own = Moments::default();
        let new = prior.expect(&own);
        assert!((new.mean - 4.0).abs() < 1e-9);
        for _ in 0..200 {
            own.add(90, 1440.0);
        }
        let old = prior.expect(&own);
        assert!((old.mean - 90.0).abs() < 1.0, "{old:?}");
        assert!(old.size > new.size, "its own steady history narrows the tail: {old:?} {new:?}");
    }

    #[test]
    fn one_very_busy_and_wild_peer_does_not_blur_the_quiet_ones() {
        let mut peers = vec![Moments::default(); 13];
        for minute in 0..40 {
            peers[1..].iter_mut().for_each(|peer| peer.add(3 + minute % 3, 1440.0));
            peers[0].add(if minute % 2 == 0 { 4 } else { 900 }, 1440.0);
        }
        let prior = PeerPrior::learn(&sums_of(&peers), None);
        let quiet = prior.expect(&peers[1]);
        assert!(quiet.mean < 6.0, "{prior:?} {quiet:?}");
        assert!(crate::statistics::surprise(300, quiet.mean, quiet.size) > 8.0, "{prior:?} {quiet:?}");
        let wild = prior.expect(&peers[0]);
        assert!(crate::statistics::surprise(900, wild.mean, wild.size) < 4.0, "{prior:?} {wild:?}");
    }

    #[test]
    fn without_burstiness_it_is_the_gamma_poisson_posterior() {
        // Gamma(shape 4, rate 0.5): mean 8, spread 0.25. Ten minutes with 30 calls: Gamma(34, 10.5).
        let prior = PeerPrior { mean: 8.0, spread: 0.25, burstiness: 0.0, peers: 9, minutes: 90.0 };
        let own = Moments { minutes: 10.0, calls: 30.0, squares: 120.0 };
        let expected = prior.expect(&own);
        assert!((expected.mean - 34.0 / 10.5).abs() < 1e-9, "{expected:?}");
        // Its own burstiness is never taken for less than a tenth, so only the mean is exact.
        let none = prior.expect(&Moments::default());
        assert!((none.mean - 8.0).abs() < 1e-9 && (none.size - 4.0).abs() < 1e-9, "{none:?}");
    }

    #[test]
    fn few_peers_lean_on_the_wider_population() {
        let wide = PeerPrior { mean: 50.0, spread: 2.0, burstiness: 1.0, peers: 500, minutes: 9000.0 };
        let none = PeerPrior::learn(&PeerSums::default(), Some(&wide));
        assert_eq!((none.mean, none.peers), (50.0, 0));
        let one = Moments { minutes: 5.0, calls: 25.0, squares: 125.0 };
        let few = PeerPrior::learn(&sums_of(&[one]), Some(&wide));
        assert!(few.mean > 5.0 && few.mean < 50.0, "{few:?}");
        let many = PeerPrior::learn(&sums_of(&[one; 100]), Some(&wide));
        assert!((many.mean - 5.0).abs() < 1.0, "{many:?}");
    }

    #[test]
    fn a_peer_can_be_taken_out_again() {
        let a = Moments { minutes: 3.0, calls: 12.0, squares: 60.0 };
        let b = Moments { minutes: 7.0, calls: 90.0, squares: 2000.0 };
        let mut sums = sums_of(&[a, b]);
        sums.apply(&PeerSums::change(&b, &Moments::default()));
        let only = sums_of(&[a]);
        assert_eq!(sums.peers, 1);
        assert!((sums.minutes - only.minutes).abs() < 1e-9 && (sums.calls - only.calls).abs() < 1e-9);
        sums.apply(&PeerSums::change(&a, &Moments::default()));
        assert_eq!(sums, PeerSums::default());
    }

    #[test]
    fn old_minutes_fade() {
        let mut own = Moments::default();
        for _ in 0..500 {
            own.add(10, 100.0);
        }
        for _ in 0..500 {
            own.add(40, 100.0);
        }
        assert!((own.minutes - 100.0).abs() < 0.01, "{own:?}");
        assert!((own.mean() - 40.0).abs() < 0.5, "{own:?}");
        own.forget_down_to(3.0);
        assert!((own.mean() - 40.0).abs() < 0.5 && own.minutes == 3.0);
    }
}

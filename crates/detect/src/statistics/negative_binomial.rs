//! How surprising a count is under a negative binomial distribution.

use statrs::function::gamma::ln_gamma;

/// The continued fraction needs about the square root of its larger parameter in steps, so this is enough for counts of
/// some millions.
const STEPS_MAX: u32 = 10_000;
const PRECISION: f64 = 1e-14;
const TINY: f64 = 1e-300;

/// −log10 P(X ≥ `count`) for X ~ NegativeBinomial with this mean and size; 0 where nothing is surprising.
///
/// With q = mean / (mean + size), P(X ≥ x) is the regularised incomplete beta function I_q(x, size) (DLMF 8.17.5, and
/// <https://dlmf.nist.gov/8.17#E22> for the continued fraction). It is evaluated in logarithms, so a probability far
/// below the smallest `f64` still has a surprise. A mean or size that is not positive and finite has no surprise.
pub fn surprise(count: u64, mean: f64, size: f64) -> f64 {
    let usable = |value: f64| value.is_finite() && value > 0.0;
    if count == 0 || !usable(mean) || !usable(size) {
        return 0.0;
    }
    let count = count as f64;
    let success = mean / (mean + size);
    let failure = size / (mean + size);
    let ln_front =
        count * success.ln() + size * failure.ln() + ln_gamma(count + size) - ln_gamma(count) - ln_gamma(size);
    let ln_tail = if success < (count + 1.0) / (count + size + 2.0) {
        ln_front - count.ln() + continued_fraction(count, size, success).ln()
    } else {
        // On the other side of the mean the fraction converges for the complement.
        let below = (ln_front - size.ln()).exp() * continued_fraction(size, count, failure);
        (1.0 - below).max(f64::MIN_POSITIVE).ln()
    };
    (-ln_tail / std::f64::consts::LN_10).max(0.0)
}

/// The smallest count of at least `count_min` whose surprise is at least `surprise_min`, searched up to `count_max`.
///
/// The caller knows that `count_max` itself is surprising enough; otherwise `count_max` is the answer.
pub fn least_surprising_count(mean: f64, size: f64, surprise_min: f64, count_min: u64, count_max: u64) -> u64 {
    let (mut low, mut high) = (count_min.min(count_max), count_max);
    while low < high {
        let middle = low + (high - low) / 2;
        if surprise(middle, mean, size) >= surprise_min {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The continued fraction of the incomplete beta function by the modified Lentz method (Thompson and Barnett 1986).
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..=STEPS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() < PRECISION {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tail summed term by term from its largest term on, in logarithms: slow, and plainly right.
    fn summed(count: u64, mean: f64, size: f64) -> f64 {
        let success = mean / (mean + size);
        let x = count as f64;
        let ln_first = ln_gamma(x + size) - ln_gamma(size) - ln_gamma(x + 1.0)
            + x * success.ln()
            + size * (size / (mean + size)).ln();
        let (mut term, mut sum, mut k) = (1.0, 0.0, x);
        while term > 1e-18 * sum || k < mean {
            sum += term;
            term *= (k + size) / (k + 1.0) * success;
            k += 1.0;
        }
        -(ln_first + f64::ln(sum)) / std::f64::consts::LN_10
    }

    #[test]
    fn the_tail_is_that_of_direct_summation() {
        for mean in [0.01, 0.5, 4.0, 33.0, 600.0, 20_000.0] {
            for size in [0.05, 0.3, 1.0, 1.83, 10.0, 200.0] {
                for count in [1, 2, 9, 30, 150, 700, 5_000, 60_000] {
                    let (got, wanted) = (surprise(count, mean, size), summed(count, mean, size));
                    let close = (got - wanted).abs() <= 1e-7 * wanted.abs().max(1.0);
                    assert!(close, "P(X ≥ {count} | {mean}, {size}): {got} against {wanted}");
                }
            }
        }
    }

    #[test]
    fn the_tail_is_that_of_the_library_where_that_one_has_digits() {
        for (mean, size, count) in [(4.0, 2.0, 10u64), (12.0, 0.7, 40), (100.0, 10.0, 180), (3.0, 5.0, 1)] {
            let wanted = -statrs::function::beta::beta_reg(count as f64, size, mean / (mean + size)).log10();
            let got = surprise(count, mean, size);
            assert!((got - wanted).abs() < 1e-6, "{mean} {size} {count}: {got} against {wanted}");
        }
    }

    #[test]
    fn it_never_falls_as_the_count_grows() {
        for (mean, size) in [(0.2, 0.05), (4.0, 0.5), (4.0, 2.0), (900.0, 10.0)] {
            let mut last = 0.0;
            for count in 0..4000 {
                let now = surprise(count, mean, size);
                assert!(now >= last - 1e-9, "mean {mean}, size {size}, count {count}: {now} after {last}");
                last = now;
            }
        }
    }

    #[test]
    fn nonsense_is_not_surprising() {
        for (mean, size) in [(0.0, 1.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (f64::INFINITY, 1.0)] {
            assert_eq!(surprise(100, mean, size), 0.0);
        }
    }

    #[test]
    fn the_least_surprising_count_is_where_the_tail_crosses() {
        let count = least_surprising_count(4.0, 2.0, 8.0, 1, 10_000);
        assert!(surprise(count, 4.0, 2.0) >= 8.0);
        assert!(surprise(count - 1, 4.0, 2.0) < 8.0);
        assert_eq!(least_surprising_count(4.0, 2.0, 8.0, 500, 10_000), 500);
        assert_eq!(least_surprising_count(4.0, 2.0, 8.0, 1, 3), 3);
    }
}

//! What a number of right answers says: shares with their intervals, two runs compared question by question, and
//! percentiles.

use serde::Serialize;

use crate::error::{Code, Error};

/// The standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// A share of right answers with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How many were right.
    pub right: u64,
    /// How many there were.
    pub of: u64,
    /// `right / of`, from 0.0 to 1.0.
    pub share: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Returns a share with its Wilson score interval, which holds near 0 and 1 and for few questions too.
///
/// # Errors
///
/// [`Code::EmptyInput`] if there are no questions: a share of nothing is not 0. [`Code::InvalidRequest`] if more are
/// right than there are.
///
/// Source: Wilson (1927), without continuity correction.
pub fn share(right: u64, of: u64) -> Result<Share, Error> {
    if of == 0 {
        return Err(nothing_to_count());
    }
    if right > of {
        let message = format!("{right} of {of} questions cannot be right");
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let n = of as f64;
    let share = right as f64 / n;
    let centre = share + Z * Z / (2.0 * n);
    let margin = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    Ok(Share {
        right,
        of,
        share,
        // At the ends the formula gives 0 and 1 up to rounding.
        low: if right == 0 {
            0.0
        } else {
            (centre - margin) / scale
        },
        high: if right == of {
            1.0
        } else {
            (centre + margin) / scale
        },
    })
}

/// Two runs over the same questions, compared question by question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Questions that both got right.
    pub both_right: u64,
    /// Questions that only the first got right.
    pub only_first: u64,
    /// Questions that only the second got right.
    pub only_second: u64,
    /// Questions that both got wrong.
    pub both_wrong: u64,
    /// The first's share of right answers less the second's, from -1.0 to 1.0.
    pub difference: f64,
    /// The lower end of the difference's 95 % interval.
    pub low: f64,
    /// The upper end of the difference's 95 % interval.
    pub high: f64,
    /// McNemar's test, exact and two-sided: the chance of a split of the questions on which the runs disagree at least
    /// as uneven as this, if neither run were better.
    pub p_exact: f64,
    /// The same with half the weight on the split that was seen: less cautious, and closer to its nominal level.
    pub p_mid: f64,
}

/// Compares two runs, given for each question whether the first and whether the second was right.
///
/// # Errors
///
/// [`Code::EmptyInput`] if there are no questions.
///
/// Source: Newcombe (1998), interval for the difference of paired proportions, method 10; McNemar's exact and mid-P
/// tests as in Fagerland, Lydersen and Laake (2013), each tail doubled and at most 1.
pub fn paired(outcomes: impl IntoIterator<Item = (bool, bool)>) -> Result<Paired, Error> {
    let (mut both_right, mut only_first, mut only_second, mut both_wrong) = (0, 0, 0, 0);
    for outcome in outcomes {
        *match outcome {
            (true, true) => &mut both_right,
            (true, false) => &mut only_first,
            (false, true) => &mut only_second,
            (false, false) => &mut both_wrong,
        } += 1;
    }
    let of = both_right + only_first + only_second + both_wrong;
    let first = share(both_right + only_first, of)?;
    let second = share(both_right + only_second, of)?;
    let difference = first.share - second.share;
    let correlation = correlation(both_right, only_first, only_second, both_wrong);
    let margin = |a: f64, b: f64| (a * a - 2.0 * correlation * a * b + b * b).max(0.0).sqrt();
    let (p_exact, p_mid) = mcnemar(only_first, only_second);
    Ok(Paired {
        both_right,
        only_first,
        only_second,
        both_wrong,
        difference,
        low: difference - margin(first.share - first.low, second.high - second.share),
        high: difference + margin(first.high - first.share, second.share - second.low),
        p_exact,
        p_mid,
    })
}

/// Returns the correlation of the two runs, corrected towards 0 when positive, as Newcombe's method 10 wants it.
fn correlation(both_right: u64, only_first: u64, only_second: u64, both_wrong: u64) -> f64 {
    let [a, b, c, d] = [both_right, only_first, only_second, both_wrong].map(|count| count as f64);
    let margins = (a + b) * (c + d) * (a + c) * (b + d);
    if margins == 0.0 {
        return 0.0;
    }
    let product = a * d - b * c;
    let corrected = if product > 0.0 {
        (product - (a + b + c + d) / 2.0).max(0.0)
    } else {
        product
    };
    corrected / margins.sqrt()
}

/// Returns the exact and the mid-P value of McNemar's test.
fn mcnemar(only_first: u64, only_second: u64) -> (f64, f64) {
    let n = only_first + only_second;
    let fewer = only_first.min(only_second);
    // The binomial distribution of n fair coins, from the logarithm of its first term on.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut below = 0.0;
    for count in 0..fewer {
        below += log_term.exp();
        log_term += ((n - count) as f64).ln() - ((count + 1) as f64).ln();
    }
    let at = log_term.exp();
    let p_exact = (2.0 * (below + at)).min(1.0);
    let p_mid = (2.0 * below + at).min(1.0);
    (p_exact, p_mid)
}

/// Returns the smallest of the values that at least `percent` per cent of them do not exceed (nearest rank), or `None`
/// of no values. `percent` is from 0 to 100.
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

fn nothing_to_count() -> Error {
    Error::new(Code::EmptyInput, "there are no questions to count")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn a_share_has_the_interval_of_wilson() {
        for (right, of, low, high) in [
            (0, 10, 0.0, 0.27753),
            (5, 10, 0.23659, 0.76341),
            (10, 10, 0.72247, 1.0),
            (111, 178, 0.55053, 0.69147),
        ] {
            let share = share(right, of).expect("there are questions");
            assert!(near(share.low, low) && near(share.high, high), "{share:?}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_an_error_and_so_is_more_than_all() {
        assert_eq!(
            share(0, 0).map_err(|error| error.code()),
            Err(Code::EmptyInput)
        );
        assert_eq!(
            share(2, 1).map_err(|error| error.code()),
            Err(Code::InvalidRequest)
        );
        assert_eq!(
            paired([]).map_err(|error| error.code()),
            Err(Code::EmptyInput)
        );
    }

    fn outcomes(both: usize, first: usize, second: usize, neither: usize) -> Paired {
        let repeat = |pair, count| std::iter::repeat_n(pair, count);
        let all = repeat((true, true), both)
            .chain(repeat((true, false), first))
            .chain(repeat((false, true), second))
            .chain(repeat((false, false), neither));
        paired(all).expect("there are questions")
    }

    #[test]
    fn two_runs_differ_by_the_interval_of_newcombe() {
        let result = outcomes(36, 12, 2, 0);
        assert!(near(result.difference, 0.2), "{result:?}");
        assert!(
            near(result.low, 0.0569) && near(result.high, 0.3404),
            "{result:?}"
        );
    }

    #[test]
    fn swapping_two_runs_swaps_the_signs_and_nothing_else() {
        let (one, other) = (outcomes(90, 20, 7, 61), outcomes(90, 7, 20, 61));
        assert!(near(one.difference, -other.difference));
        assert!(near(one.low, -other.high) && near(one.high, -other.low));
        assert_eq!((one.p_exact, one.p_mid), (other.p_exact, other.p_mid));
    }

    #[test]
    fn the_test_of_mcnemar_counts_disagreements_only() {
        for (first, second, exact, mid) in [
            (0, 0, 1.0, 1.0),
            (5, 5, 1.0, 1.0),
            // 2 (1 + 10) / 1024, and without one of the tens.
            (9, 1, 0.021_484_375, 0.011_718_75),
            // 2 / 2^6.
            (0, 6, 0.031_25, 0.015_625),
        ] {
            let result = outcomes(30, first, second, 4);
            assert!((result.p_exact - exact).abs() < 1e-12, "{result:?}");
            assert!((result.p_mid - mid).abs() < 1e-12, "{result:?}");
        }
        // Terms too small for a double do not make it fail.
        assert!(outcomes(0, 3_000, 2_000, 0).p_exact < 1e-30);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        for (percent, expected) in [
            (0.0, 1.0),
            (50.0, 10.0),
            (95.0, 19.0),
            (96.0, 20.0),
            (100.0, 20.0),
        ] {
            assert_eq!(percentile(&values, percent), Some(expected), "{percent}");
        }
        assert_eq!(percentile(&[], 50.0), None);
    }
}

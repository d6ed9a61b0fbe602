//! Logistic regression with a ridge, by Newton's method (iteratively reweighted least squares; Hastie, Tibshirani,
//! Friedman, The Elements of Statistical Learning, 4.4.1). Some hundred observations of some ten features: exact, and
//! done in a moment.

use std::collections::BTreeSet;

/// What was seen of one answer, and whether it was right.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// What is kept together when part of the observations is held back: the database.
    pub group: String,
    /// As [`super::features`] returns them.
    pub features: Vec<f64>,
    /// The answer was right.
    pub is_right: bool,
}

/// How strongly weights are held near zero, all but the intercept's: with so few observations a large weight is chance.
const RIDGE: f64 = 3.0;
const MAX_STEPS: usize = 100;

/// Returns the weights that fit the observations best, one for each feature; the first feature is the constant 1.
/// Without an observation all are 0.
pub fn fit(observations: &[Observation]) -> Vec<f64> {
    let refs: Vec<&Observation> = observations.iter().collect();
    fit_these(&refs)
}

/// Returns for each observation the probability that a fit to all other groups gives it: how well a fit does on
/// databases that it has not seen.
///
/// What is fitted to the other groups is how the features tell; the share of all that is right is common to all of them.
/// Leaving a group with many wrong answers out raises the share of the others, so with an intercept of its own each group
/// would be judged against its own lot: among answers whose features are alike, and most are, the worst would be the surest.
pub fn leave_one_group_out(observations: &[Observation]) -> Vec<f64> {
    let groups: BTreeSet<&str> = observations.iter().map(|one| one.group.as_str()).collect();
    let means = means(observations);
    let mut scores = vec![0.0; observations.len()];
    for group in groups {
        let others: Vec<&Observation> = observations
            .iter()
            .filter(|one| one.group != group)
            .collect();
        let weights = fit_these(&others);
        for (one, score) in observations.iter().zip(&mut scores) {
            if one.group == group {
                let told = weights.iter().zip(&one.features).zip(&means).skip(1);
                *score = told.map(|((w, x), mean)| w * (x - mean)).sum();
            }
        }
    }
    let right = observations.iter().filter(|one| one.is_right).count() as f64;
    let share = right / observations.len().max(1) as f64;
    let offset = offset(&scores, share);
    scores.iter().map(|score| sigmoid(score + offset)).collect()
}

fn means(observations: &[Observation]) -> Vec<f64> {
    let width = observations.first().map_or(0, |one| one.features.len());
    let mean = |index| {
        let values = observations.iter().map(|one| one.features[index]);
        values.sum::<f64>() / observations.len() as f64
    };
    (0..width).map(mean).collect()
}

/// Returns what is added to each score so that their probabilities have this mean, by halving.
fn offset(scores: &[f64], share: f64) -> f64 {
    let (mut low, mut high) = (-50.0, 50.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        let sum: f64 = scores.iter().map(|score| sigmoid(score + middle)).sum();
        match sum / (scores.len().max(1) as f64) < share {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}

/// Returns the probability of being right; one half without weights.
pub(super) fn probability(weights: &[f64], features: &[f64]) -> f64 {
    let sum: f64 = weights.iter().zip(features).map(|(w, x)| w * x).sum();
    sigmoid(sum)
}

fn sigmoid(sum: f64) -> f64 {
    1.0 / (1.0 + (-sum).exp())
}

fn fit_these(observations: &[&Observation]) -> Vec<f64> {
    let Some(width) = observations.first().map(|one| one.features.len()) else {
        return Vec::new();
    };
    let mut weights = vec![0.0; width];
    for _ in 0..MAX_STEPS {
        // The ridge's own gradient and curvature first.
        let mut gradient: Vec<f64> = weights.iter().map(|weight| -RIDGE * weight).collect();
        let mut curvature = vec![vec![0.0; width]; width];
        for (index, row) in curvature.iter_mut().enumerate() {
            row[index] = RIDGE;
        }
        // The share that is right is known well enough to be left free; a trace keeps the equations solvable.
        gradient[0] = -1e-6 * weights[0];
        curvature[0][0] = 1e-6;
        for one in observations {
            let p = probability(&weights, &one.features);
            let error = f64::from(u8::from(one.is_right)) - p;
            for (i, x) in one.features.iter().enumerate() {
                gradient[i] += error * x;
                for (j, y) in one.features.iter().enumerate() {
                    curvature[i][j] += p * (1.0 - p) * x * y;
                }
            }
        }
        let Some(step) = solve(curvature, gradient) else {
            break;
        };
        let length = step.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        // A full step can overshoot where nearly all are right; a bounded one still arrives.
        let scale = if length > 2.0 { 2.0 / length } else { 1.0 };
        for (weight, x) in weights.iter_mut().zip(&step) {
            *weight += scale * x;
        }
        if length < 1e-9 {
            break;
        }
    }
    weights
}

/// Solves linear equations by elimination with pivots; `None` if they have no single solution.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    for column in 0..n {
        let pivot = (column..n)
            .max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-12 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..n {
            let factor = matrix[row][column] / matrix[column][column];
            let (above, below) = matrix.split_at_mut(row);
            for (changed, pivot) in below[0].iter_mut().zip(&above[column]).skip(column) {
                *changed -= factor * pivot;
            }
            right[row] -= factor * right[column];
        }
    }
    let mut solution = vec![0.0; n];
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| matrix[row][k] * solution[k]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(group: &str, x: f64, is_right: bool) -> Observation {
        Observation {
            group: group.into(),
            features: vec![1.0, x],
            is_right,
        }
    }

    #[test]
    fn without_a_feature_that_tells_the_fit_is_the_share_that_is_right() {
        let observations: Vec<_> = (0..100).map(|n| observation("a", 0.0, n < 70)).collect();
        let weights = fit(&observations);
        assert!(
            (probability(&weights, &[1.0, 0.0]) - 0.7).abs() < 1e-3,
            "{weights:?}"
        );
    }

    #[test]
    fn a_feature_that_tells_gets_weight_and_the_shares_come_out() {
        // 90 of 100 right where it is 1, 30 of 100 where it is 0.
        let mut observations: Vec<_> = (0..1_000)
            .map(|n| observation("a", 1.0, n % 10 < 9))
            .collect();
        observations.extend((0..1_000).map(|n| observation("b", 0.0, n % 10 < 3)));
        let weights = fit(&observations);
        assert!(
            (probability(&weights, &[1.0, 1.0]) - 0.9).abs() < 0.01,
            "{weights:?}"
        );
        assert!(
            (probability(&weights, &[1.0, 0.0]) - 0.3).abs() < 0.01,
            "{weights:?}"
        );
    }

    #[test]
    fn what_can_be_told_apart_wholly_still_has_finite_weights() {
        let observations: Vec<_> = (0..50)
            .map(|n| observation("a", f64::from(n), n > 25))
            .collect();
        let weights = fit(&observations);
        assert!(
            weights.iter().all(|weight| weight.is_finite()),
            "{weights:?}"
        );
        assert!(probability(&weights, &[1.0, 49.0]) > 0.95);
    }

    #[test]
    fn a_group_is_not_surer_for_having_been_left_out() {
        // Nothing tells, and one group is worse than the other.
        let mut observations: Vec<_> = (0..100).map(|n| observation("good", 0.0, n < 90)).collect();
        observations.extend((0..100).map(|n| observation("bad", 0.0, n < 50)));
        let probabilities = leave_one_group_out(&observations);
        assert!(
            (probabilities[0] - 0.7).abs() < 1e-3,
            "{}",
            probabilities[0]
        );
        assert!(
            (probabilities[150] - 0.7).abs() < 1e-3,
            "{}",
            probabilities[150]
        );
        assert!(leave_one_group_out(&[]).is_empty());
    }

    #[test]
    fn a_group_is_judged_by_the_others_alone() {
        // Within `odd` the feature tells the opposite; a fit that had seen it would know.
        let mut observations: Vec<_> = (0..200)
            .map(|n| observation("even", f64::from(n % 2), n % 2 == 1))
            .collect();
        observations.extend((0..200).map(|n| observation("odd", f64::from(n % 2), n % 2 == 0)));
        let probabilities = leave_one_group_out(&observations);
        // The ridge keeps them from the ends.
        assert!(
            probabilities[200] < 0.2 && probabilities[201] > 0.8,
            "{probabilities:?}"
        );
        assert!(
            probabilities[0] > 0.8 && probabilities[1] < 0.2,
            "{probabilities:?}"
        );
    }
}

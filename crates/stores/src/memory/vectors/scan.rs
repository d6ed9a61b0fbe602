//! The two loops of an exact search.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Sums kept side by side, so that the compiler works on as many numbers at once as the processor can. The order of the
/// additions is fixed: equal vectors are equally near, to the bit.
const LANES: usize = 16;

/// Returns the dot product of two vectors of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Returns the greatest similarities with their positions, the greatest first; equal ones by position.
pub fn nearest(candidates: impl Iterator<Item = (f32, usize)>, limit: usize) -> Vec<(f32, usize)> {
    // The worst of those kept is on top.
    let mut kept: BinaryHeap<Candidate> = BinaryHeap::new();
    for (similarity, at) in candidates {
        let candidate = Candidate { similarity, at };
        if kept.len() < limit {
            kept.push(candidate);
        } else if let Some(mut worst) = kept.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }
    let sorted = kept.into_sorted_vec().into_iter();
    sorted
        .map(|candidate| (candidate.similarity, candidate.at))
        .collect()
}

/// The nearer is the lesser.
struct Candidate {
    similarity: f32,
    at: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let nearer = other.similarity.total_cmp(&self.similarity);
        nearer.then(self.at.cmp(&other.at))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_dot_product_is_the_sum_of_products(pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 0..100)) {
            let (a, b): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let expected: f64 = pairs.iter().map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!((f64::from(dot(&a, &b)) - expected).abs() < 1e-4);
        }

        #[test]
        fn the_nearest_are_those_of_a_whole_sort(similarities in prop::collection::vec(-3_i8..3, 0..50), limit in 0_usize..60) {
            let candidates = || similarities.iter().map(|s| f32::from(*s)).zip(0..).map(|(s, at): (f32, usize)| (s, at));
            let mut sorted: Vec<_> = candidates().collect();
            sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            sorted.truncate(limit);
            prop_assert_eq!(nearest(candidates(), limit), sorted);
        }
    }
}

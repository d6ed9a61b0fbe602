//! Which token comes next, by the logits that a model gave all of them. Knows neither text nor llama.cpp.

use engine::decoding::MAX_PASSED_OVER;

/// Tokens among which one is drawn, at most.
const TOP_COUNT: usize = 40;

/// Of those, only as many of the likeliest as have this probability together.
const TOP_PROBABILITY: f64 = 0.95;

/// A token that was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Chosen {
    /// Its number in the vocabulary.
    pub id: i32,
    /// The natural logarithm of its probability before any choice was narrowed.
    pub logprob: f64,
}

/// Returns the likeliest token, the lower number of two that are equal; `None` if no token has a probability.
pub(super) fn likeliest(logits: &[f32]) -> Option<Chosen> {
    let mut best = None;
    let mut best_logit = f32::NEG_INFINITY;
    for (id, logit) in (0..).zip(logits) {
        if *logit > best_logit {
            (best, best_logit) = (Some(id), *logit);
        }
    }
    best.map(|id| Chosen {
        id,
        logprob: -log_sum(logits, best_logit),
    })
}

/// Chooses as `choose` does, but passes over tokens that `admits` refuses, up to a limit. Beyond it, and where nothing is
/// left, returns the first of them, and `false`.
pub(super) fn admitted(
    logits: &[f32],
    mut choose: impl FnMut(&[f32]) -> Option<Chosen>,
    admits: impl Fn(i32) -> bool,
) -> Option<(Chosen, bool)> {
    let first = choose(logits)?;
    if admits(first.id) {
        return Some((first, true));
    }
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = log_sum(logits, highest);
    let mut left = logits.to_vec();
    let mut passed_over = first.id;
    for _ in 0..MAX_PASSED_OVER {
        left[passed_over as usize] = f32::NEG_INFINITY;
        let Some(Chosen { id, .. }) = choose(&left) else {
            break;
        };
        if admits(id) {
            let logprob = f64::from(logits[id as usize] - highest) - log_sum;
            return Some((Chosen { id, logprob }, true));
        }
        passed_over = id;
    }
    Some((first, false))
}

/// Returns ln(sum(exp(logit - highest))): what a logit is above its log-probability, but for `highest`.
///
/// The highest is found before and not in the same pass: two plain loops are quicker than one with a branch.
fn log_sum(logits: &[f32], highest: f32) -> f64 {
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from((logit - highest).exp()))
        .sum();
    sum.ln()
}

/// Draws tokens at a temperature, among the likeliest. The same seed draws the same.
#[derive(Debug)]
pub(super) struct Sampler {
    temperature: f64,
    random: SplitMix,
}

impl Sampler {
    /// A temperature of 0 or less draws the likeliest always.
    pub(super) fn new(temperature: f32, seed: u64) -> Self {
        Self {
            temperature: f64::from(temperature),
            random: SplitMix(seed),
        }
    }

    /// Returns a token; `None` if no token has a probability.
    pub(super) fn choose(&mut self, logits: &[f32]) -> Option<Chosen> {
        Top::of(logits).map(|top| self.choose_among(&top))
    }

    /// Returns the token that [`Sampler::choose`] returns for the logits that these are of.
    pub(super) fn choose_among(&mut self, top: &Top) -> Chosen {
        // Taken also where it decides nothing, so that the nth token has the nth number.
        let random = self.random.unit();
        // So written that what is not a number counts as 0.
        if !matches!(
            self.temperature.partial_cmp(&0.0),
            Some(std::cmp::Ordering::Greater)
        ) {
            return top.chosen(0);
        }
        let mut probability = 0.0;
        let inside = top.likeliest.iter().take_while(|(_, below)| {
            let is_inside = probability < TOP_PROBABILITY;
            probability += (below - top.log_sum).exp();
            is_inside
        });
        let inside = inside.count();
        let weight = |at: usize| (top.likeliest[at].1 / self.temperature).exp();
        let total: f64 = (0..inside).map(weight).sum();
        let mut left = random * total;
        let drawn = (0..inside).find(|at| {
            left -= weight(*at);
            left < 0.0
        });
        // Rounding may leave a little over after the last.
        top.chosen(drawn.unwrap_or(inside - 1))
    }
}

/// The likeliest of all tokens: as much of the logits as drawing looks at.
#[derive(Debug)]
pub(super) struct Top {
    /// At most [`TOP_COUNT`], at least one, each with how far its logit is below the highest.
    likeliest: Vec<(i32, f64)>,
    /// As [`log_sum`] gives it.
    log_sum: f64,
}

impl Top {
    /// `None` if no token has a probability.
    pub(super) fn of(logits: &[f32]) -> Option<Self> {
        let top = likeliest_first(logits);
        let (_, highest) = *top.first()?;
        let below = |(id, logit)| (id, f64::from(logit - highest));
        Some(Self {
            likeliest: top.into_iter().map(below).collect(),
            log_sum: log_sum(logits, highest),
        })
    }

    fn chosen(&self, at: usize) -> Chosen {
        let (id, below) = self.likeliest[at];
        Chosen {
            id,
            logprob: below - self.log_sum,
        }
    }
}

/// Returns the likeliest tokens with their logits, at most [`TOP_COUNT`].
fn likeliest_first(logits: &[f32]) -> Vec<(i32, f32)> {
    let mut top: Vec<(i32, f32)> = Vec::with_capacity(TOP_COUNT);
    let mut floor = f32::NEG_INFINITY;
    for (id, logit) in (0..).zip(logits) {
        if *logit > floor {
            top.truncate(TOP_COUNT - 1);
            let place = top.partition_point(|(_, other)| other >= logit);
            top.insert(place, (id, *logit));
            if let (TOP_COUNT, Some((_, least))) = (top.len(), top.last()) {
                floor = *least;
            }
        }
    }
    top
}

/// Random numbers for drawing, not for secrets.
///
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; constants of the
/// reference `splitmix64.c` by Vigna. Its outputs are scrambled enough that seeds next to each other do no harm.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// Returns the next number, from 0.0 to below 1.0.
    fn unit(&mut self) -> f64 {
        const BITS_OF_A_FRACTION: u32 = 53;
        let random = self.next() >> (u64::BITS - BITS_OF_A_FRACTION);
        random as f64 / (1_u64 << BITS_OF_A_FRACTION) as f64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of these probabilities, moved: only differences count.
    fn logits(probabilities: &[f32]) -> Vec<f32> {
        let logit = |probability: &f32| probability.ln() + 17.0;
        probabilities.iter().map(logit).collect()
    }

    /// The shares of draws of each token.
    fn shares(probabilities: &[f32], temperature: f32) -> Vec<f64> {
        const DRAWS: usize = 20_000;
        let logits = logits(probabilities);
        let mut sampler = Sampler::new(temperature, 7);
        let mut shares = vec![0.0; probabilities.len()];
        for _ in 0..DRAWS {
            let chosen = sampler.choose(&logits).unwrap();
            shares[chosen.id as usize] += 1.0 / DRAWS as f64;
        }
        shares
    }

    fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
        let is_close = |(found, expected): (&f64, &f64)| (found - expected).abs() <= tolerance;
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(is_close),
            "{found:?} is not {expected:?}"
        );
    }

    #[test]
    fn log_probabilities_are_those_of_the_softmax() {
        let probabilities = [0.1, 0.7, 0.2];
        let best = likeliest(&logits(&probabilities)).unwrap();
        assert_eq!(best.id, 1);
        assert_close(&[best.logprob], &[0.7_f64.ln()], 1e-6);
        // Large ones do not overflow and small ones do not vanish.
        for shift in [-1e4, 0.0, 1e4] {
            let best = likeliest(&[shift, shift, shift, shift]).unwrap();
            assert_eq!(best.id, 0, "the lower number of two that are equal");
            assert_close(&[best.logprob], &[0.25_f64.ln()], 1e-6);
        }
        let sure = likeliest(&[f32::NEG_INFINITY, 3.0]).unwrap();
        assert_eq!((sure.id, sure.logprob), (1, 0.0));
        let wide = vec![0.5; 151_936];
        let any = likeliest(&wide).unwrap();
        assert_close(&[any.logprob], &[-(151_936_f64.ln())], 1e-6);
    }

    #[test]
    fn nothing_is_chosen_where_nothing_is_possible() {
        let mut sampler = Sampler::new(1.0, 1);
        for nothing in [vec![], vec![f32::NEG_INFINITY; 3], vec![f32::NAN; 3]] {
            assert_eq!(likeliest(&nothing), None);
            assert_eq!(sampler.choose(&nothing), None);
        }
    }

    #[test]
    fn what_is_not_admitted_is_passed_over() {
        let logits = logits(&[0.1, 0.6, 0.3]);
        let only = |wanted: i32| admitted(&logits, likeliest, |id| id == wanted);
        let (first, is_admitted) = only(1).unwrap();
        assert_eq!((first.id, is_admitted), (1, true));
        let (third, is_admitted) = only(0).unwrap();
        assert_eq!((third.id, is_admitted), (0, true));
        // As the model held it, with nothing left out.
        assert_close(&[third.logprob], &[0.1_f64.ln()], 1e-6);
        let (none, is_admitted) = only(7).unwrap();
        assert_eq!((none.id, is_admitted), (1, false));
        let wide = vec![0.0; 1000];
        let late = MAX_PASSED_OVER as i32;
        assert!(admitted(&wide, likeliest, |id| id == late).unwrap().1);
        assert!(!admitted(&wide, likeliest, |id| id == late + 1).unwrap().1);
    }

    #[test]
    fn draws_are_spread_as_the_probabilities_are() {
        let probabilities = [0.2, 0.5, 0.3];
        assert_close(&shares(&probabilities, 1.0), &[0.2, 0.5, 0.3], 0.015);
        // At one half each probability counts squared.
        let squares = [0.04 / 0.38, 0.25 / 0.38, 0.09 / 0.38];
        assert_close(&shares(&probabilities, 0.5), &squares, 0.015);
        for temperature in [0.0, -1.0, f32::NAN] {
            assert_eq!(shares(&probabilities, temperature)[0..1], [0.0]);
            assert_close(&shares(&probabilities, temperature), &[0.0, 1.0, 0.0], 1e-6);
        }
    }

    #[test]
    fn the_least_likely_are_never_drawn() {
        // The first two have 0.95 together only with the third.
        let shares = shares(&[0.04, 0.5, 0.4, 0.06], 1.0);
        let of_three = [0.0, 0.5 / 0.96, 0.4 / 0.96, 0.06 / 0.96];
        assert_close(&shares, &of_three, 0.015);
        let even = vec![0.0; 100];
        let mut sampler = Sampler::new(2.0, 3);
        for _ in 0..1000 {
            let chosen = sampler.choose(&even).unwrap();
            assert!((0..40).contains(&chosen.id), "{chosen:?}");
        }
    }

    #[test]
    fn what_was_drawn_has_the_probability_that_the_model_gave_it() {
        let probabilities = [0.04, 0.5, 0.4, 0.06];
        let mut sampler = Sampler::new(0.5, 11);
        for _ in 0..100 {
            let chosen = sampler.choose(&logits(&probabilities)).unwrap();
            let expected = f64::from(probabilities[chosen.id as usize]).ln();
            assert_close(&[chosen.logprob], &[expected], 1e-5);
        }
    }

    #[test]
    fn the_likeliest_are_found_in_order_wherever_they_stand() {
        let logits: Vec<f32> = (0..1000).map(|id| ((id * 389) % 1000) as f32).collect();
        let top = likeliest_first(&logits);
        let found: Vec<f32> = top.iter().map(|(_, logit)| *logit).collect();
        let expected: Vec<f32> = (960..1000).rev().map(|logit| logit as f32).collect();
        assert_eq!(found, expected);
        assert!(top.iter().all(|(id, logit)| logits[*id as usize] == *logit));
    }

    #[test]
    fn the_same_seed_draws_the_same_and_the_next_seed_does_not() {
        let draw = |seed| {
            let mut sampler = Sampler::new(1.0, seed);
            let logits = vec![0.0; 40];
            let ids = (0..20).map(|_| sampler.choose(&logits).unwrap().id);
            ids.collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        assert_ne!(draw(u64::MAX), draw(0));
    }

    #[test]
    fn random_numbers_are_those_of_the_reference() {
        // The first outputs of `splitmix64.c` for the seed 1234567.
        let mut random = SplitMix(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(expected.map(|_| random.next()), expected);
    }
}

//! Confidence against what was right: how well it is calibrated, and how precise the answers are that it would let
//! through. Each answer's confidence comes from a fit to the other databases, so that it has not seen what it judges.

use std::path::Path;

use engine::Error;
use engine::confidence::{Fit, Observation, features, fit, leave_one_group_out};
use engine::evaluation::statistics::{Share, share};
use plotters::prelude::*;
use serde::Serialize;

use super::record::{Record, RecordVerdict};
use super::{fault, in_file};

/// Answers with a mean confidence, and the share of them that is right.
#[derive(Debug, Clone, Serialize)]
pub struct Bin {
    /// The mean confidence of its answers.
    pub confidence: f64,
    /// Those of them that are right.
    pub right: Share,
}

/// What is left when only the surest answers are given.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// The least confidence that is answered.
    pub threshold: f64,
    /// The share of questions that is answered.
    pub coverage: f64,
    /// Of the answers, those that are right.
    pub precision: Share,
}

/// How well confidence tells right answers from wrong ones.
#[derive(Debug, Clone, Serialize)]
pub struct Calibration {
    /// Questions, those without an answer included.
    pub questions: u64,
    /// Answers in parts of equal number, the least sure first.
    pub bins: Vec<Bin>,
    /// One point for each answer, the surest first.
    pub curve: Vec<Point>,
    /// The area under the receiver operating characteristic: how often a right answer has more confidence than a wrong
    /// one.
    pub auc: f64,
}

const BINS: usize = 8;

fn observations(records: &[Record]) -> Vec<Observation> {
    let answered = records
        .iter()
        .filter(|record| record.verdict != RecordVerdict::NoGold);
    answered
        .filter_map(|record| {
            Some(Observation {
                group: record.db.clone(),
                features: features(record.signals.as_ref()?),
                is_right: record.test_suite,
            })
        })
        .collect()
}

/// Fits the confidence to all answers, for use.
pub fn fitted(records: &[Record], date: &str, model: &str, set: &str, prompt: &str) -> Fit {
    let observations = observations(records);
    let fitted_on = format!("{} answers to {set}", observations.len());
    Fit::new(fit(&observations), date, model, &fitted_on, prompt)
}

impl Calibration {
    /// Measures how well confidence does on databases that it was not fitted on.
    ///
    /// # Errors
    ///
    /// [`engine::Code::EmptyInput`] if nothing was answered.
    pub fn of(records: &[Record]) -> Result<Self, Error> {
        let counted = records
            .iter()
            .filter(|record| record.verdict != RecordVerdict::NoGold);
        let questions = counted.count() as u64;
        let observations = observations(records);
        let probabilities = leave_one_group_out(&observations);
        let mut answers: Vec<(f64, bool)> = probabilities
            .into_iter()
            .zip(observations.iter().map(|one| one.is_right))
            .collect();
        answers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let right = |part: &[(f64, bool)]| {
            share(
                part.iter().filter(|(_, right)| *right).count() as u64,
                part.len() as u64,
            )
        };
        let size = answers.len().div_ceil(BINS).max(1);
        let mut bins = Vec::new();
        for part in answers.chunks(size) {
            let sum: f64 = part.iter().map(|(confidence, _)| confidence).sum();
            bins.push(Bin {
                confidence: sum / part.len() as f64,
                right: right(part)?,
            });
        }
        bins.reverse();
        let mut curve = Vec::with_capacity(answers.len());
        for end in 1..=answers.len() {
            curve.push(Point {
                threshold: answers[end - 1].0,
                coverage: end as f64 / questions as f64,
                precision: right(&answers[..end])?,
            });
        }
        // An evaluation of nothing says nothing.
        right(&answers)?;
        Ok(Self {
            questions,
            bins,
            curve,
            auc: auc(&answers),
        })
    }

    /// Returns the point with the widest coverage at which at least this share of the answers is right.
    pub fn at_precision(&self, least: f64) -> Option<&Point> {
        self.curve
            .iter()
            .rev()
            .find(|point| point.precision.share >= least)
    }

    /// Returns the point at which at least this share of the questions is answered.
    pub fn at_coverage(&self, least: f64) -> Option<&Point> {
        self.curve.iter().find(|point| point.coverage >= least)
    }

    /// Draws both curves into a folder: `reliability.svg` and `coverage-precision.svg`.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn draw(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder).map_err(in_file(folder))?;
        let failed = |cause: String| fault("a figure cannot be drawn", cause);
        let path = folder.join("reliability.svg");
        self.draw_reliability(&path)
            .map_err(|cause| failed(cause.to_string()))?;
        let path = folder.join("coverage-precision.svg");
        self.draw_coverage(&path)
            .map_err(|cause| failed(cause.to_string()))
    }

    fn draw_reliability(&self, path: &Path) -> Result<(), Box<dyn std::error::Error + '_>> {
        let area = SVGBackend::new(path, (560, 480)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .caption("Share right by confidence", ("sans-serif", 18))
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart
            .configure_mesh()
            .x_desc("confidence (fitted to other databases)")
            .y_desc("share of answers that are right")
            .light_line_style(TRANSPARENT)
            .draw()?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], BLACK.mix(0.35)))?;
        for bin in &self.bins {
            let x = bin.confidence;
            let Share {
                low, high, share, ..
            } = bin.right;
            chart.draw_series(LineSeries::new([(x, low), (x, high)], BLUE.mix(0.6)))?;
            chart.draw_series([Circle::new((x, share), 4, BLUE.filled())])?;
        }
        area.present()?;
        Ok(())
    }

    fn draw_coverage(&self, path: &Path) -> Result<(), Box<dyn std::error::Error + '_>> {
        let area = SVGBackend::new(path, (560, 480)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .caption("Precision by coverage", ("sans-serif", 18))
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..1.0, 0.4..1.0)?;
        chart
            .configure_mesh()
            .x_desc("share of questions answered, the surest first")
            .y_desc("share of answers that are right")
            .light_line_style(TRANSPARENT)
            .draw()?;
        let line = |value: fn(&Share) -> f64| {
            self.curve
                .iter()
                .map(move |point| (point.coverage, value(&point.precision).max(0.4)))
        };
        chart.draw_series(LineSeries::new(line(|one| one.low), BLUE.mix(0.3)))?;
        chart.draw_series(LineSeries::new(line(|one| one.high), BLUE.mix(0.3)))?;
        chart.draw_series(LineSeries::new(line(|one| one.share), BLUE.stroke_width(2)))?;
        area.present()?;
        Ok(())
    }
}

/// Mann-Whitney's U over all pairs of a right and a wrong answer; one half where there is no pair. `answers` are the
/// surest first.
fn auc(answers: &[(f64, bool)]) -> f64 {
    let (mut pairs, mut won) = (0.0, 0.0);
    for (sure, _) in answers.iter().filter(|(_, right)| *right) {
        for (other, _) in answers.iter().filter(|(_, right)| !*right) {
            pairs += 1.0;
            won += match sure.total_cmp(other) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    if pairs == 0.0 { 0.5 } else { won / pairs }
}

//! What a series of measurements says: rates, percentiles, ratios between neighbours.

use serde::Serialize;
use std::time::Duration;

/// One measurement: what was answered, in how long, and how late the answers were.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Sample {
    /// Answers inside the measured time, every one of them checked.
    pub answers: u64,
    /// The measured time.
    pub seconds: f64,
    /// Answers per second.
    pub per_second: f64,
    /// Half of the answers came within this many microseconds.
    pub p50_us: f64,
    /// 99 of 100 answers came within this many microseconds.
    pub p99_us: f64,
}

impl Sample {
    /// Summarizes latencies (in nanoseconds, any order) collected over `measured`.
    pub fn of(mut latencies: Vec<u32>, measured: Duration) -> Self {
        latencies.sort_unstable();
        let seconds = measured.as_secs_f64();
        let per_second = if seconds > 0.0 { latencies.len() as f64 / seconds } else { 0.0 };
        Self {
            answers: latencies.len() as u64,
            seconds,
            per_second,
            p50_us: percentile(&latencies, 50),
            p99_us: percentile(&latencies, 99),
        }
    }
}

/// A latency as it is collected: nanoseconds, capped at about four seconds.
pub fn nanoseconds(latency: Duration) -> u32 {
    u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX)
}

/// Nearest rank: the smallest value that at least `percent` of the sorted values do not exceed, in microseconds.
fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0.0, |&nanoseconds| f64::from(nanoseconds) / 1_000.0)
}

/// The least, middle and greatest of a series.
#[derive(Clone, Copy, Debug, Serialize, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// `None` for an empty series.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get(values.len().saturating_sub(1) / 2)?;
        Some(Self { min: *values.first()?, median: f64::midpoint(lower, upper), max: *values.last()? })
    }
}

/// `subject / other`, round by round: neighbours in time, because a machine's speed drifts over a run.
pub fn ratios(subject: &[Sample], other: &[Sample]) -> Option<Spread> {
    let pairs = subject.iter().zip(other).filter(|(_, other)| other.per_second > 0.0);
    Spread::of(pairs.map(|(subject, other)| subject.per_second / other.per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: f64) -> Sample {
        Sample { answers: 1, seconds: 1.0, per_second, p50_us: 0.0, p99_us: 0.0 }
    }

    #[test]
    fn percentiles_are_nearest_ranks_of_the_sorted_latencies() {
        let latencies: Vec<u32> = (1..=200).rev().map(|n| n * 1_000).collect();
        let sample = Sample::of(latencies, Duration::from_secs(2));
        assert_eq!((sample.p50_us, sample.p99_us), (100.0, 198.0));
        assert_eq!((sample.answers, sample.per_second), (200, 100.0));
    }

    #[test]
    fn a_single_latency_is_every_percentile() {
        let sample = Sample::of(vec![7_000], Duration::from_secs(1));
        assert_eq!((sample.p50_us, sample.p99_us), (7.0, 7.0));
    }

    #[test]
    fn nothing_measured_is_zero_and_not_a_number_all_the_same() {
        let sample = Sample::of(Vec::new(), Duration::ZERO);
        assert_eq!((sample.per_second, sample.p50_us, sample.p99_us), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_latency_beyond_the_cap_is_the_cap() {
        assert_eq!(nanoseconds(Duration::from_secs(60)), u32::MAX);
    }

    #[test]
    fn the_median_of_an_even_series_lies_between_its_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { min: 1.0, median: 2.5, max: 4.0 });
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_compare_neighbours_of_one_round() {
        let subject = [rate(10.0), rate(30.0)];
        let other = [rate(20.0), rate(20.0)];
        assert_eq!(ratios(&subject, &other), Some(Spread { min: 0.5, median: 1.0, max: 1.5 }));
    }

    #[test]
    fn a_round_in_which_the_other_did_nothing_has_no_ratio() {
        assert_eq!(ratios(&[rate(10.0)], &[rate(0.0)]), None);
    }
}

//! What a run says, for people (Markdown) and for programs (JSON).

use crate::opalid::Standing;
use crate::scenario::GrantsBy;
use crate::stats::{Sample, Spread, ratios};
use serde::Serialize;
use std::fmt::Write;

/// A whole run.
#[derive(Serialize)]
pub struct Report {
    /// How it was run.
    pub setting: Setting,
    /// What Opalid cost by being there.
    pub standing: Option<Standing>,
    /// Scenario by scenario; in each, Opalid first.
    pub rows: Vec<Row>,
}

/// How a run was made.
#[derive(Serialize)]
pub struct Setting {
    /// Tokens of the read paths, entries of the references.
    pub grants: usize,
    /// Where those tokens came from.
    pub grants_by: GrantsBy,
    /// Rounds, everyone once in each.
    pub rounds: usize,
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Seconds measured in a round.
    pub seconds: f64,
    /// Seconds before that.
    pub warm_up: f64,
    /// Whether server and load had a core each.
    pub pinned: bool,
}

/// One contender of one scenario, over all rounds.
#[derive(Serialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// The contender.
    pub server: &'static str,
    /// Answers (or steps) per second.
    pub per_second: Option<Spread>,
    /// The median round's p50, in microseconds.
    pub p50_us: f64,
    /// The median round's p99, in microseconds.
    pub p99_us: f64,
    /// The median round's measured time; less than asked for when the traffic ended early.
    pub seconds: f64,
    /// Opalid's rate over this one's, round by round; none in Opalid's own row.
    pub opalid_over_this: Option<Spread>,
    /// The rounds themselves.
    pub rounds: Vec<Sample>,
}

impl Row {
    /// Summarizes the rounds beside those of Opalid, the subject.
    pub fn of(scenario: &str, server: &'static str, rounds: Vec<Sample>, subject: Option<&[Sample]>) -> Self {
        let median = |of: fn(&Sample) -> f64| Spread::of(rounds.iter().map(of)).map_or(0.0, |spread| spread.median);
        Self {
            scenario: scenario.to_owned(),
            server,
            per_second: Spread::of(rounds.iter().map(|sample| sample.per_second)),
            p50_us: median(|sample| sample.p50_us),
            p99_us: median(|sample| sample.p99_us),
            seconds: median(|sample| sample.seconds),
            opalid_over_this: subject.filter(|_| server != "opalid").and_then(|subject| ratios(subject, &rounds)),
            rounds,
        }
    }
}

impl Report {
    /// A table, with a line above it that says how it came about.
    pub fn markdown(&self) -> String {
        let mut text = self.setting.sentence();
        text.push_str("\n\n| scenario | server | per second: median | min–max | p50 µs | p99 µs | seconds ");
        text.push_str("| Opalid ÷ this: min / median / max |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
        for row in &self.rows {
            text.push_str(&row.line());
        }
        if let Some(standing) = &self.standing {
            text.push_str(&standing.sentence());
        }
        text
    }
}

impl Setting {
    fn sentence(&self) -> String {
        let Self { grants, rounds, connections, seconds, warm_up, .. } = self;
        let tokens = match self.grants_by {
            GrantsBy::ClientCredentials => "tokens of one standing grant",
            GrantsBy::Code => "grants, a token each",
        };
        let cores = if self.pinned { "a core for the server, another for the load" } else { "nothing bound to a core" };
        format!(
            "{grants} {tokens}; {rounds} rounds of {seconds} s after {warm_up} s; {connections} connections; {cores}; \
             every answer checked."
        )
    }
}

impl Row {
    fn line(&self) -> String {
        let (median, range) = match self.per_second {
            Some(rate) => (format!("{:.0}", rate.median), format!("{:.0}–{:.0}", rate.min, rate.max)),
            None => ("–".into(), "–".into()),
        };
        let ratio = self
            .opalid_over_this
            .map_or("–".into(), |ratio| format!("{:.2} / {:.2} / {:.2}", ratio.min, ratio.median, ratio.max));
        let Self { scenario, server, p50_us, p99_us, seconds, .. } = self;
        format!("| {scenario} | {server} | {median} | {range} | {p50_us:.0} | {p99_us:.0} | {seconds:.1} | {ratio} |\n")
    }
}

impl Standing {
    fn sentence(&self) -> String {
        let mebibytes = |bytes: Option<u64>| {
            bytes.map_or("unknown".into(), |bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1024 * 1024)))
        };
        let mut text = String::new();
        // Writing to a String does not fail.
        let _written = write!(
            text,
            "\nOpalid was ready after {:.0} ms; resident: {} idle, {} at the end.\n",
            self.ready_after_ms,
            mebibytes(self.resident_idle),
            mebibytes(self.resident_at_end)
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rates: &[f64]) -> Vec<Sample> {
        let one = |&per_second| Sample { answers: 1, seconds: 1.0, per_second, p50_us: 100.0, p99_us: 900.4 };
        rates.iter().map(one).collect()
    }

    fn report() -> Report {
        let subject = samples(&[90.0, 110.0, 100.0]);
        let setting = Setting {
            grants: 1_000,
            grants_by: GrantsBy::ClientCredentials,
            rounds: 3,
            connections: 32,
            seconds: 5.0,
            warm_up: 1.0,
            pinned: true,
        };
        let rows = vec![
            Row::of("introspection", "opalid", subject.clone(), Some(&subject)),
            Row::of("introspection", "hyper-bare", samples(&[100.0, 100.0, 200.0]), Some(&subject)),
        ];
        Report { setting, standing: None, rows }
    }

    #[test]
    fn the_table_has_a_line_for_everyone_and_a_ratio_for_all_but_opalid() {
        let text = report().markdown();
        let lines: Vec<_> = text.lines().skip(4).collect();
        let expected = [
            "| introspection | opalid | 100 | 90–110 | 100 | 900 | 1.0 | – |",
            "| introspection | hyper-bare | 100 | 100–200 | 100 | 900 | 1.0 | 0.50 / 0.90 / 1.10 |",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_sentence_says_what_kind_of_tokens_were_used() {
        assert!(report().markdown().starts_with("1000 tokens of one standing grant; 3 rounds of 5 s after 1 s"));
    }

    #[test]
    fn without_opalid_there_are_rates_and_no_ratios() {
        let row = Row::of("introspection", "hyper-bare", samples(&[100.0]), None);
        assert_eq!(row.opalid_over_this, None);
        assert!(row.per_second.is_some());
    }

    #[test]
    fn the_json_holds_every_round() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["rows"][1]["rounds"].as_array().unwrap().len(), 3);
        assert_eq!(json["setting"]["grants_by"], "client-credentials");
    }
}

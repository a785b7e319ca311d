//! What a run says, for people (Markdown) and for programs (JSON).

use crate::LoadShape;
use crate::footprint::Footprint;
use crate::stats::{Sample, Spread, ratios};
use serde::Serialize;
use std::fmt;

/// A whole run.
#[derive(Serialize)]
pub struct Report {
    /// How it was run.
    pub setting: Setting,
    /// What servers cost by being there.
    pub footprints: Vec<Footprint>,
    /// Scenario by scenario; in each, Opalid first.
    pub rows: Vec<Row>,
}

/// How a run was made.
#[derive(Clone, Serialize)]
pub struct Setting {
    /// Rounds, everyone once in each.
    pub rounds: usize,
    connections: usize,
    seconds: f64,
    warm_up: f64,
    pinned: bool,
    /// On which engine.
    pub postgres: bool,
}

/// Who was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contestant {
    /// Its name.
    pub server: &'static str,
    /// Grants in its store, or entries in its map.
    pub grants: Option<usize>,
}

const OPALID: &str = "opalid";

impl Contestant {
    /// Opalid with so many grants in its store.
    pub const fn opalid(grants: usize) -> Self {
        Self { server: OPALID, grants: Some(grants) }
    }

    /// Anyone else.
    pub const fn other(server: &'static str, grants: Option<usize>) -> Self {
        Self { server, grants }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.grants {
            Some(grants) => write!(f, "{} with {}", self.server, thousands(grants as f64)),
            None => f.write_str(self.server),
        }
    }
}

/// One contestant of one scenario, over all rounds.
#[derive(Serialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// Who.
    pub who: Contestant,
    /// Answers (or steps) per second.
    pub per_second: Option<Spread>,
    /// The median round's p50, in microseconds.
    pub p50_us: f64,
    /// The median round's p99, in microseconds.
    pub p99_us: f64,
    /// The median round's measured time; less than asked for when the traffic ended early.
    pub seconds: f64,
    /// Opalid's rate over that of others, round by round: of each server the one with the fewest entries, and of
    /// Opalid itself the one with the fewest grants. Empty in others' rows.
    pub over: Vec<(&'static str, Spread)>,
    /// The rounds themselves.
    pub rounds: Vec<Sample>,
}

impl Row {
    /// Summarizes the rounds of everyone in a scenario.
    pub fn beside_each_other(scenario: &str, all: Vec<(Contestant, Vec<Sample>)>) -> Vec<Self> {
        let mut yardsticks: Vec<(Contestant, Vec<Sample>)> = Vec::new();
        for (who, rounds) in &all {
            if yardsticks.iter().all(|(known, _)| known.server != who.server) {
                yardsticks.push((who.clone(), rounds.clone()));
            }
        }
        all.into_iter().map(|(who, rounds)| Self::of(scenario, who, rounds, &yardsticks)).collect()
    }

    fn of(scenario: &str, who: Contestant, rounds: Vec<Sample>, yardsticks: &[(Contestant, Vec<Sample>)]) -> Self {
        let median = |of: fn(&Sample) -> f64| Spread::of(rounds.iter().map(of)).map_or(0.0, |spread| spread.median);
        let others = yardsticks.iter().filter(|(other, _)| who.server == OPALID && *other != who);
        let over = others.filter_map(|(other, samples)| Some((other.server, ratios(&rounds, samples)?))).collect();
        Self {
            scenario: scenario.to_owned(),
            per_second: Spread::of(rounds.iter().map(|sample| sample.per_second)),
            p50_us: median(|sample| sample.p50_us),
            p99_us: median(|sample| sample.p99_us),
            seconds: median(|sample| sample.seconds),
            who,
            over,
            rounds,
        }
    }

    fn rate(&self) -> String {
        self.per_second.map_or("–".into(), |rate| {
            format!("{} ({}–{})", thousands(rate.median), thousands(rate.min), thousands(rate.max))
        })
    }

    fn ratio(&self, server: &str) -> String {
        let known = self.over.iter().find(|(other, _)| *other == server);
        known.map_or("–".into(), |(_, ratio)| format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max))
    }

    fn line(&self) -> String {
        let Self { scenario, who, p50_us, p99_us, seconds, .. } = self;
        let grants = who.grants.map_or("–".into(), |grants| thousands(grants as f64));
        let rate = self.rate();
        format!("| {scenario} | {} | {grants} | {rate} | {p50_us:.0} | {p99_us:.0} | {seconds:.1} |\n", who.server)
    }
}

impl Report {
    /// Tables: how Opalid does beside the others, what it costs by being there, everyone in full.
    pub fn markdown(&self) -> String {
        let mut text = self.setting.sentence();
        for servers in [&["axum-honest", "hyper-honest", "axum-constant", "hyper-bare"][..], &self.floors()] {
            text.push_str(&self.beside(servers));
        }
        text.push_str(&self.footprint_table());
        text.push_str(
            "\n| scenario | server | grants or entries | per second: median (range) | p50 µs | p99 µs | seconds |\n",
        );
        text.push_str("|---|---|--:|--:|--:|--:|--:|\n");
        text.extend(self.rows.iter().map(Row::line));
        text
    }

    fn floors(&self) -> Vec<&'static str> {
        let mut floors: Vec<_> = self.rows.iter().map(|row| row.who.server).collect();
        floors.retain(|server| server.starts_with("floor"));
        floors.sort_unstable_by_key(|server| std::cmp::Reverse(server.len()));
        floors.dedup();
        floors
    }

    /// Opalid's rows that were measured beside these; nothing if there are none.
    fn beside(&self, servers: &[&str]) -> String {
        let known = |row: &&Row| row.over.iter().any(|(server, _)| servers.contains(server));
        let rows: Vec<_> = self.rows.iter().filter(known).collect();
        if rows.is_empty() {
            return String::new();
        }
        let heads: String = servers.iter().map(|server| format!(" ÷ {server} |")).collect();
        let dashes = "--:|".repeat(servers.len());
        let mut text = format!("\n| Opalid | grants | per second: median (range) |{heads} ÷ fewest grants |\n");
        text.push_str(&format!("|---|--:|--:|{dashes}--:|\n"));
        for row in rows {
            let grants = row.who.grants.map_or("–".into(), |grants| thousands(grants as f64));
            let ratios: String = servers.iter().map(|server| format!(" {} |", row.ratio(server))).collect();
            text.push_str(&format!(
                "| {} | {grants} | {} |{ratios} {} |\n",
                row.scenario,
                row.rate(),
                row.ratio(OPALID)
            ));
        }
        text
    }

    fn footprint_table(&self) -> String {
        if self.footprints.is_empty() {
            return String::new();
        }
        let mut text = "\n| Opalid starts | grants on disk | ready after ms | resident MB idle | grants in memory \
                        | resident MB then | bytes a grant | with its people |\n|---|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
        let megabytes = |bytes: Option<u64>| bytes.map_or("–".into(), |bytes| format!("{:.1}", bytes as f64 / 1e6));
        for print in &self.footprints {
            let rounded = |bytes: Option<f64>| bytes.map_or("–".into(), |bytes| format!("{bytes:.0}"));
            let (grant, with) = (rounded(print.bytes_per_grant), rounded(print.bytes_with_people));
            text.push_str(&format!(
                "| {} | {} | {:.0} | {} | {} | {} | {grant} | {with} |\n",
                print.start,
                thousands(print.grants as f64),
                print.ready_after_ms,
                megabytes(print.resident_idle),
                thousands(print.touched as f64),
                megabytes(print.resident_touched),
            ));
        }
        text
    }
}

impl Setting {
    /// How a run is made.
    pub const fn of(rounds: usize, shape: LoadShape, pinned: bool, postgres: bool) -> Self {
        let LoadShape { connections, seconds, warm_up } = shape;
        Self { rounds, connections, seconds, warm_up, pinned, postgres }
    }

    fn sentence(&self) -> String {
        let Self { rounds, connections, seconds, warm_up, .. } = self;
        let cores = if self.pinned { "a core for the server, another for the load" } else { "nothing bound to a core" };
        let engine = if self.postgres { "PostgreSQL" } else { "SQLite" };
        format!(
            "{engine}; {rounds} rounds of {seconds} s after {warm_up} s; {connections} connections; {cores}; every \
             answer checked. Ratios are taken round by round: median (range).\n"
        )
    }
}

/// A number in groups of three digits.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rates: &[f64]) -> Vec<Sample> {
        let one = |&per_second| Sample { answers: 1, seconds: 1.0, per_second, p50_us: 100.0, p99_us: 900.4 };
        rates.iter().map(one).collect()
    }

    fn report() -> Report {
        let shape = LoadShape { connections: 32, seconds: 5.0, warm_up: 1.0 };
        let reads = Row::beside_each_other(
            "introspection",
            vec![
                (Contestant::opalid(1_000), samples(&[90.0, 110.0, 100.0])),
                (Contestant::opalid(1_000_000), samples(&[45.0, 55.0, 100.0])),
                (Contestant::other("axum-honest", Some(1_000)), samples(&[100.0, 100.0, 200.0])),
                (Contestant::other("axum-honest", Some(1_000_000)), samples(&[1.0, 1.0, 1.0])),
            ],
        );
        let writes = Row::beside_each_other(
            "refresh",
            vec![
                (Contestant::opalid(1_000), samples(&[7_000.0])),
                (Contestant::other("floor-sqlite", None), samples(&[20_000.0])),
                (Contestant::other("floor-sqlite with HTTP", None), samples(&[10_000.0])),
            ],
        );
        let rows = reads.into_iter().chain(writes).collect();
        Report { setting: Setting::of(3, shape, true, false), footprints: Vec::new(), rows }
    }

    #[test]
    fn opalid_is_shown_beside_the_others_and_beside_itself_with_the_fewest_grants() {
        let text = report().markdown();
        for line in [
            "| Opalid | grants | per second: median (range) | ÷ axum-honest | ÷ hyper-honest | ÷ axum-constant | ÷ hyper-bare | ÷ fewest grants |",
            "| introspection | 1,000 | 100 (90–110) | 0.90 (0.50–1.10) | – | – | – | – |",
            "| introspection | 1,000,000 | 55 (45–100) | 0.50 (0.45–0.55) | – | – | – | 0.50 (0.50–1.00) |",
            "| Opalid | grants | per second: median (range) | ÷ floor-sqlite with HTTP | ÷ floor-sqlite | ÷ fewest grants |",
            "| refresh | 1,000 | 7,000 (7,000–7,000) | 0.70 (0.70–0.70) | 0.35 (0.35–0.35) | – |",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line}\nin {text}");
        }
    }

    #[test]
    fn everyone_has_a_line() {
        let text = report().markdown();
        assert!(text.contains("\n| introspection | axum-honest | 1,000,000 | 1 (1–1) | 100 | 900 | 1.0 |\n"), "{text}");
    }

    #[test]
    fn the_json_holds_every_round() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["rows"][1]["rounds"].as_array().unwrap().len(), 3);
        assert_eq!(json["rows"][1]["who"]["grants"], 1_000_000);
    }

    #[test]
    fn what_a_server_costs_has_a_line_for_each_start() {
        let print = Footprint {
            start: "first",
            grants: 1_000,
            ready_after_ms: 31.6,
            resident_idle: Some(14_600_000),
            touched: 1_000,
            resident_touched: Some(15_000_000),
            bytes_per_grant: None,
            bytes_with_people: None,
        };
        let text = Report { footprints: vec![print], ..report() }.markdown();
        assert!(text.contains("| first | 1,000 | 32 | 14.6 | 1,000 | 15.0 | – | – |"), "{text}");
    }
}

//! Every form of an access token beside the opaque one: its length, making it, asking about it, verifying it.
//!
//! Takes: the program. Gives: a table, each figure with its ratio to the opaque token's in the same round.
//! Holds: one server, one machine client that asks for tokens by `resource`, one resource server that introspects them;
//! the resource says of which form its tokens are, so nothing else differs.

mod declared;
mod local;

use crate::LoadShape;
use crate::http::client;
use crate::http::request::{self, Credentials};
use crate::load::{self, Shape};
use crate::opalid::{Opalid, Place};
use crate::stats::{Sample, Spread, ratios};
use crate::traffic::{Expect, Fixed, PerToken, Tokens};
use crate::{cpu, floor};
use anyhow::{Context, Result};
use clap::Args;
use declared::Form;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;

/// What is asked for.
#[derive(Args)]
pub struct Options {
    /// The program
    #[arg(long)]
    opalid: PathBuf,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    shape: LoadShape,
    /// Tokens of each form that are asked about in turn
    #[arg(long, default_value_t = 500)]
    tokens: usize,
    /// A folder for data
    #[arg(long, default_value = "target/opalid-bench")]
    data: PathBuf,
    /// Everything in little, to see whether it still works; the figures mean nothing
    #[arg(long)]
    quick: bool,
}

/// A row of the table.
struct Row {
    what: String,
    bytes: Option<usize>,
    makes: Vec<Sample>,
    asks: Vec<Sample>,
    /// Nanoseconds that verifying the signature alone takes.
    verifies: Option<f64>,
}

impl Row {
    const fn new(what: String, bytes: Option<usize>) -> Self {
        Self { what, bytes, makes: Vec::new(), asks: Vec::new(), verifies: None }
    }
}

/// Measures and prints.
pub fn run(options: &Options) -> Result<()> {
    let folder = floor::sqlite::Folder::under(&std::path::absolute(&options.data)?)?;
    let quick = LoadShape { connections: 4, seconds: 0.1, warm_up: 0.0 };
    let shape = if options.quick { quick } else { options.shape }.shape()?;
    let (rounds, count) = if options.quick { (1, 20) } else { (options.rounds, options.tokens) };
    let pin = (!options.quick).then_some(0);
    if pin.is_some() {
        cpu::pin(1)?;
    }
    let place =
        Place { program: options.opalid.clone(), data: folder.0.join("forms"), database: None, demo: true, cpu: pin };
    let opalid = Opalid::start(&place)?;
    declared::declare(&place)?;
    let bench = Bench { opalid: &opalid, shape, rounds, count };
    let mut rows = bench.forms()?;
    rows.extend(bench.batches()?);
    println!("{}", table(&rows));
    Ok(())
}

struct Bench<'a> {
    opalid: &'a Opalid,
    shape: Shape,
    rounds: usize,
    count: usize,
}

impl Bench<'_> {
    fn post(&self, who: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let credentials = Credentials { id: who.into(), secret: declared::SECRET.into() };
        request::post(self.opalid.address, path, &[("Authorization", &credentials.basic())], &request::form(fields))
    }

    fn asking_for(&self, form: &Form) -> Vec<u8> {
        let fields = [("grant_type", "client_credentials"), ("resource", &*form.uri())];
        self.post(declared::MACHINE, "/token", &fields)
    }

    /// Tokens of a form.
    fn tokens(&self, form: &Form) -> Result<Tokens> {
        let (request, mut tokens) = (self.asking_for(form), Tokens::default());
        while tokens.len() < self.count {
            let received = client::exchange(self.opalid.address, &request)?;
            let answer: Value = serde_json::from_slice(received.answer()?.body)?;
            tokens.push(answer.get("access_token").and_then(Value::as_str).context("no access token")?)?;
        }
        Ok(tokens)
    }

    /// One row for each form, in turns round by round.
    fn forms(&self) -> Result<Vec<Row>> {
        let forms = Form::all();
        let mut of_forms = Vec::with_capacity(forms.len());
        let mut rows = Vec::with_capacity(forms.len());
        for form in &forms {
            let tokens = Rc::new(self.tokens(form)?);
            let first = tokens.find(0).context("no token")?;
            let mut row = Row::new(form.name(), Some(first.len()));
            if form.is_signed_alone() {
                row.verifies = Some(local::verify(self.opalid.address, first)?);
            }
            rows.push(row);
            of_forms.push(tokens);
        }
        for round in 1..=self.rounds {
            for ((form, tokens), row) in forms.iter().zip(&of_forms).zip(&mut rows) {
                row.makes.push(self.make(form)?);
                if form.is_readable_here() {
                    row.asks.push(self.ask(tokens, &[], 1)?);
                }
                eprintln!("{round}/{} {}", self.rounds, row.what);
            }
        }
        Ok(rows)
    }

    fn make(&self, form: &Form) -> Result<Sample> {
        let expect = Expect::new(200, r#""access_token":""#);
        load::run(self.opalid.address, self.shape, &mut Fixed::endless(self.asking_for(form), expect))
    }

    /// Introspections of these tokens, `at_once` in a request.
    fn ask(&self, tokens: &Rc<Tokens>, more: &[(&str, &str)], at_once: usize) -> Result<Sample> {
        if at_once > 1 {
            let all: Vec<&str> = (0..at_once).filter_map(|n| tokens.find(n % tokens.len())).collect();
            let all = all.join(" ");
            let fields = [&[("tokens", all.as_str())], more].concat();
            let request = self.post(declared::API, "/introspect", &fields);
            let mut traffic = Fixed::endless(request, Expect::new(200, r#""active":true"#));
            let mut sample = load::run(self.opalid.address, self.shape, &mut traffic)?;
            sample.per_second *= at_once as f64;
            return Ok(sample);
        }
        let template = |token: &str| {
            let fields = [&[("token", token)], more].concat();
            self.post(declared::API, "/introspect", &fields)
        };
        let expect = Expect::new(200, r#""active":true"#);
        let mut traffic = PerToken::new(Rc::clone(tokens), template, expect, false)?;
        load::run(self.opalid.address, self.shape, &mut traffic)
    }

    /// Opaque tokens asked about in other ways, one whole answer at a time first.
    fn batches(&self) -> Result<Vec<Row>> {
        let tokens = Rc::new(self.tokens(&Form::Opaque)?);
        let minimal = [("minimal", "true")].as_slice();
        let ways = [
            ("opaque, one whole answer", &[][..], 1),
            ("opaque, `minimal`", minimal, 1),
            ("opaque, 100 at once (tokens/s)", &[], 100),
            ("opaque, 100 at once, `minimal` (tokens/s)", minimal, 100),
        ];
        let mut rows: Vec<Row> = ways.iter().map(|(what, ..)| Row::new((*what).into(), None)).collect();
        for round in 1..=self.rounds {
            for ((what, more, at_once), row) in ways.iter().zip(&mut rows) {
                row.asks.push(self.ask(&tokens, more, *at_once)?);
                eprintln!("{round}/{} {what}", self.rounds);
            }
        }
        Ok(rows)
    }
}

/// The table, in Markdown. Ratios are to the opaque token's in the same round; of the last rows, to the first of them.
fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| form | bytes | makes/s | × opaque | introspects/s | × opaque | verifies in |\n|---|---|---|---|---|---|---|\n",
    );
    let first_other = rows.iter().position(|row| row.bytes.is_none()).unwrap_or(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let yardstick = rows.get(if at < first_other { 0 } else { first_other });
        let cells = |samples: &[Sample], of: fn(&Row) -> &Vec<Sample>| {
            let rate = Spread::of(samples.iter().map(|sample| sample.per_second));
            let ratio = yardstick.and_then(|yardstick| ratios(samples, of(yardstick)));
            let shown = |spread: Option<Spread>, digits: usize| {
                spread.map_or("–".into(), |it| {
                    format!("{:.digits$} ({:.digits$}–{:.digits$})", it.median, it.min, it.max)
                })
            };
            format!("{} | {}", shown(rate, 0), shown(ratio, 2))
        };
        let bytes = row.bytes.map_or("–".into(), |bytes| bytes.to_string());
        let verifies = row.verifies.map_or("–".into(), |ns| format!("{:.1} µs", ns / 1000.0));
        let (makes, asks) = (cells(&row.makes, |row| &row.makes), cells(&row.asks, |row| &row.asks));
        // Writing to a String cannot fail.
        _ = writeln!(text, "| {} | {bytes} | {makes} | {asks} | {verifies} |", row.what);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_opaque_token_and_of_the_other_ways_to_the_first_of_them() {
        let sample = |per_second| Sample { answers: 1, seconds: 1.0, per_second, p50_us: 0.0, p99_us: 0.0 };
        let row = |what: &str, bytes, makes, asks| Row {
            what: what.into(),
            bytes,
            makes: vec![sample(makes)],
            asks: vec![sample(asks)],
            verifies: None,
        };
        let rows =
            [row("opaque", Some(96), 10.0, 20.0), row("JWT", Some(700), 5.0, 10.0), row("minimal", None, 1.0, 40.0)];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[1], "| JWT | 700 | 5 (5–5) | 0.50 (0.50–0.50) | 10 (10–10) | 0.50 (0.50–0.50) | – |");
        assert!(lines[2].contains("| 40 (40–40) | 1.00 (1.00–1.00) |"), "{}", lines[2]);
    }
}

//! Rows of a comparison, gathered over rounds, as Markdown and JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::Error;
use crate::clock::{Percentiles, median};
use crate::stream::Quality;

/// One way to do the work, with what it took in each round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// What does the work.
    pub name: String,
    /// Frames given.
    pub frames: usize,
    /// Wall seconds, by round.
    pub wall_s: Vec<f64>,
    /// CPU seconds, by round.
    pub cpu_s: Vec<f64>,
    /// Per-frame milliseconds, by round; empty where the program does not tell.
    pub frame_ms: Vec<Percentiles>,
    /// What came out, of the last round; `None` for rows without a stream.
    pub quality: Option<Quality>,
    /// Settings in which the stream differs from Scanout's.
    pub differences: Vec<String>,
    /// What else there is to know.
    pub note: String,
}

impl Row {
    /// A row without any round.
    pub fn new(name: &str, frames: usize) -> Self {
        Self {
            name: name.to_owned(),
            frames,
            ..Self::default()
        }
    }

    /// Adds a round.
    pub fn add(&mut self, wall_s: f64, cpu_s: f64, frame_ms: &[f64]) {
        self.wall_s.push(wall_s);
        self.cpu_s.push(cpu_s);
        if !frame_ms.is_empty() {
            self.frame_ms.push(Percentiles::of(frame_ms));
        }
    }

    /// The median over rounds of one percentile.
    pub fn percentile(&self, pick: impl Fn(&Percentiles) -> f64) -> Option<f64> {
        let values: Vec<_> = self.frame_ms.iter().map(pick).collect();
        (!values.is_empty()).then(|| median(&values))
    }
}

/// The median over rounds of `ours` / `other`, round by round, so that a slow
/// minute of the machine is in both.
pub fn ratio(ours: &[f64], other: &[f64]) -> f64 {
    let ratios: Vec<_> = ours.iter().zip(other).map(|(a, b)| a / b).collect();
    median(&ratios)
}

/// A comparison of rows that did the same work.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// What is compared.
    pub title: String,
    /// The rows, in the order in which they ran.
    pub rows: Vec<Row>,
    /// Ratios by name.
    pub ratios: Vec<(String, f64)>,
}

impl Table {
    /// GitHub's Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("### {}\n\n", self.title);
        out.push_str("| row | access units | wall s | CPU s | p50 ms | p95 ms | p99 ms | max ms | Mbit/s | PSNR-Y dB |\n");
        out.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let number = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
            };
            let quality = row.quality.as_ref();
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "| {} | {} | {:.3} | {:.3} | {} | {} | {} | {} | {} | {} |",
                row.name,
                quality.map_or_else(|| "-".to_owned(), |q| q.access_units.to_string()),
                median(&row.wall_s),
                median(&row.cpu_s),
                number(row.percentile(|p| p.p50), 2),
                number(row.percentile(|p| p.p95), 2),
                number(row.percentile(|p| p.p99), 2),
                number(row.percentile(|p| p.max), 2),
                number(quality.map(|q| q.bitrate_bps / 1e6), 2),
                number(quality.and_then(|q| q.psnr_y_db), 2),
            );
        }
        out.push('\n');
        for (name, ratio) in &self.ratios {
            let _ = writeln!(out, "* {name}: {ratio:.3}");
        }
        for row in &self.rows {
            if !row.differences.is_empty() {
                let _ = writeln!(
                    out,
                    "* {}: settings that differ (Scanout's/its own): {}",
                    row.name,
                    row.differences.join(", ")
                );
            }
            if !row.note.is_empty() {
                let _ = writeln!(out, "* {}: {}", row.name, row.note);
            }
        }
        out.push('\n');
        out
    }
}

/// Prints a report and writes it as `NAME.md` and `NAME.json` into `dir`.
pub fn publish(dir: &Path, name: &str, markdown: &str, json: &impl Serialize) -> Result<(), Error> {
    print!("{markdown}");
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(format!("{name}.md")), markdown)?;
    let json = serde_json::to_string_pretty(json)?;
    std::fs::write(dir.join(format!("{name}.json")), json)?;
    Ok(())
}

/// The machine, for the head of a report.
pub fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        // One round ran on a busy machine; both rows were twice as slow.
        assert_eq!(ratio(&[1.1, 2.2, 1.1], &[1.0, 2.0, 1.0]), 1.1);
    }

    #[test]
    fn a_table_shows_medians_and_names_what_differs() {
        let mut row = Row::new("peer", 2);
        for wall in [3.0, 1.0, 2.0] {
            row.add(wall, wall, &[]);
        }
        row.differences.push("ref: 1/3".to_owned());
        let table = Table {
            title: "t".to_owned(),
            rows: vec![row],
            ratios: vec![("a / b".to_owned(), 1.05)],
        };
        let text = table.markdown();
        assert!(text.contains("| peer | - | 2.000 | 2.000 | - |"), "{text}");
        assert!(
            text.contains("ref: 1/3") && text.contains("a / b: 1.050"),
            "{text}"
        );
    }
}

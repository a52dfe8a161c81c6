//! The report for people.

use std::fmt::Write as _;

use scanout_benches::clock::Percentiles;

use super::Report;
use super::crowd::{Run, Table};
use super::desktop;

/// GitHub's Markdown. Writing to a String cannot fail.
pub(crate) fn of(report: &Report) -> String {
    let mut out = format!(
        "## Viewers\n\n{}. Load {:.2} before and {:.2} after. Source, stream, server and clients in one process, over loopback TCP; {}, 8 Mbit/s.\n\n",
        report.machine, report.load[0], report.load[1], report.encoder
    );
    joins(report, &mut out);
    if let Some(row) = &report.desktop {
        desktop(row, &mut out);
    }
    if let Some(table) = &report.crowd {
        crowd(table, &mut out);
    }
    if let Some(row) = &report.screenshot {
        out.push_str("### spicy-screenshot\n\n");
        let _ = match &row.skipped {
            Some(why) => writeln!(out, "skip: {why}\n"),
            None => writeln!(
                out,
                "A still {} desktop, ms from start to end: {:.0?}, median {:.0}; --version alone takes {:.0}.\n",
                row.size, row.each, row.median, row.version_ms
            ),
        };
    }
    out.push_str("### Aims\n\n| aim | at most | measured | |\n|---|---|---|---|\n");
    for aim in &report.aims {
        let met = if aim.is_met() { "met" } else { "missed" };
        let _ = writeln!(
            out,
            "| {} | {:.2} | {:.2} | {met} |",
            aim.what, aim.bound, aim.measured
        );
    }
    out.push('\n');
    for violation in &report.violations {
        let _ = writeln!(out, "* violation: {violation}");
    }
    out
}

fn percentiles(out: &mut String, name: &str, p: &Percentiles) {
    let _ = writeln!(
        out,
        "| {name} | {:.2} | {:.2} | {:.2} | {:.2} |",
        p.p50, p.p95, p.p99, p.max
    );
}

const HEAD: &str = "| ms | p50 | p95 | p99 | max |\n|---|---|---|---|---|\n";

fn joins(report: &Report, out: &mut String) {
    for row in &report.joins {
        let _ = write!(
            out,
            "### Joins: {}\n\n{} clients, one after another, to a still {} desktop.\n\n{HEAD}",
            row.name(),
            row.joins,
            row.size
        );
        percentiles(
            out,
            "INIT sent to last byte of the picture",
            &row.init_to_picture,
        );
        percentiles(
            out,
            "of that, to the stream's announcement",
            &row.init_to_stream,
        );
        percentiles(
            out,
            "connect to last byte of the picture",
            &row.connect_to_picture,
        );
        percentiles(out, "of that, to INIT sent", &row.connect_to_init);
        percentiles(
            out,
            "all threads' waiting for a core meanwhile",
            &row.core_wait,
        );
        out.push('\n');
    }
}

fn desktop(row: &desktop::Row, out: &mut String) {
    let _ = write!(out, "### Desktop\n\n{}.\n\n{HEAD}", row.work);
    percentiles(out, "between draws", &row.draw_gaps);
    percentiles(out, "between pictures at the client", &row.picture_gaps);
    if let Some(delay) = &row.draw_to_picture {
        percentiles(out, "draw to its picture at the client", delay);
    }
    percentiles(out, "draw held", &row.hold);
    percentiles(out, "producer's drawing", &row.drawing);
    let _ = writeln!(
        out,
        "\n* drawn {}, unstaged {}, stagings {}, unchanged {}, coded {}, received {}: skipped {}",
        row.drawn, row.unstaged, row.stagings, row.unchanged, row.coded, row.received, row.skipped
    );
    let _ = writeln!(
        out,
        "* hold work p50 {:.2} p99 {:.2} ms, pacing p50 {:.2} p99 {:.2} ms",
        row.work_ms.p50_ms, row.work_ms.p99_ms, row.pacing_ms.p50_ms, row.pacing_ms.p99_ms
    );
    let _ = writeln!(
        out,
        "* target {:.2} to {:.2} Mbit/s, {} changes, at most {} encoders; received {:.2} Mbit/s",
        row.lowest_target_bps as f64 / 1e6,
        row.highest_target_bps as f64 / 1e6,
        row.targets.len().saturating_sub(1),
        row.most_groups,
        row.received_bps / 1e6
    );
    let _ = writeln!(
        out,
        "* {:.2} cores used; the producer missed {} ticks\n",
        row.cores_used, row.missed_ticks
    );
}

fn crowd(table: &Table, out: &mut String) {
    let _ = write!(
        out,
        "### Crowd\n\n{}.\n\n| round | | gaps p50 ms | p95 | p99 | max | hold work p50 ms | p99 | held p99 | pictures | of the stalled | drawn | missed ticks | encoders | cores |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        table.work
    );
    let name = |run: &Run| if run.stalled { "one stalled" } else { "alone" };
    for (index, round) in table.rounds.iter().enumerate() {
        for run in round {
            let _ = writeln!(
                out,
                "| {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {}-{} | {} | {} | {} | {} | {:.2} |",
                index + 1,
                name(run),
                run.gaps.p50,
                run.gaps.p95,
                run.gaps.p99,
                run.gaps.max,
                run.work.p50_ms,
                run.work.p99_ms,
                run.hold.p99,
                run.pictures.0,
                run.pictures.1,
                run.stalled_pictures
                    .map_or_else(|| "-".to_owned(), |n| n.to_string()),
                run.drawn,
                run.missed_ticks,
                run.most_groups,
                run.cores_used
            );
        }
    }
    out.push('\n');
    let mut both = |what: &str, pick: fn(&Run) -> f64| {
        let [alone, with] = table.medians(pick);
        let _ = writeln!(out, "* {what}: alone {alone:.2}, one stalled {with:.2}");
    };
    both("medians of gaps p99, ms", |run| run.gaps.p99);
    both("medians of hold work p99, ms", |run| run.work.p99_ms);
    out.push('\n');
}
